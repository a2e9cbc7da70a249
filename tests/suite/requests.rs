//! The table of requests: what becomes of each, by the evaluator and by real Envoys.
//!
//! A topic is a mesh and rows of `request => outcome` (see `requests/README.md`). Discovery makes an Envoy's configuration of the
//! mesh; every row is evaluated on that and sent through that Envoy, and both must be as the row says.

mod ask;
mod evaluated;
mod outcome;
mod scene;
mod table;

use pilothouse_tests::envoy::VERSIONS;

use scene::Topic;

macro_rules! topics {
    ($($name:ident)*) => { $(
        #[tokio::test]
        async fn $name() {
            let mesh = include_str!(concat!("requests/", stringify!($name), ".yaml"));
            let rows = include_str!(concat!("requests/", stringify!($name), ".txt"));
            Topic::new(stringify!($name), mesh, rows).check(&VERSIONS).await;
        }
    )*

        const ROWS: &[&str] = &[$(include_str!(concat!("requests/", stringify!($name), ".txt"))),*];
    };
}

topics! {
    actions
    gateways
    headers
    ingress
    l4
    patches
    paths
    scope
    services
    sidecars
}

#[test]
fn there_are_at_least_300_rows() {
    let rows: usize = ROWS.iter().map(|text| table::read(text).len()).sum();
    assert!(rows >= 300, "{rows}");
}
