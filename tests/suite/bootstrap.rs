//! Every pinned Envoy accepts the bootstrap, without a word about deprecation, whatever leads to discovery.

use pilothouse_core::model::Locality;
use pilothouse_tests::envoy::{Binary, VERSIONS};
use pilothouse_xds::bootstrap::{
    Beside, BootstrapParams, DiscoveryAddress, Readiness, Variant, bootstrap_json,
};
use serde_json::{Map, json};

#[tokio::test]
async fn every_form_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let forms = [
        DiscoveryAddress::Ip("127.0.0.1:15010".parse().unwrap()),
        DiscoveryAddress::Ip("[::1]:15010".parse().unwrap()),
        DiscoveryAddress::Host("localhost".to_owned(), 15010),
        DiscoveryAddress::Unix(dir.path().join("xds.sock")),
    ];
    let whole = Beside {
        secrets: Some(dir.path().join("sds.sock")),
        prometheus: Some("0.0.0.0:15090".parse().unwrap()),
        readiness: Some(Readiness {
            listen: "[::]:15021".parse().unwrap(),
            agent: "127.0.0.1:15020".parse().unwrap(),
        }),
        outlier_log: Some(dir.path().join("ejected.log")),
    };
    for version in VERSIONS {
        let binary = Binary::find_version(version).unwrap();
        for discovery in &forms {
            for (variant, beside) in [
                (Variant::Delta, &whole),
                (Variant::Sotw, &Beside::default()),
            ] {
                let params = BootstrapParams {
                    node: "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local"
                        .parse()
                        .unwrap(),
                    cluster: "web.shop".to_owned(),
                    metadata: Map::from_iter([
                        ("NAMESPACE".to_owned(), json!("shop")),
                        ("LABELS".to_owned(), json!({ "app": "web" })),
                    ]),
                    locality: Locality::parse("eu/eu-1/rack-7"),
                    admin: "127.0.0.1:0".parse().unwrap(),
                    discovery: discovery.clone(),
                    variant,
                    beside: beside.clone(),
                };
                let bootstrap = bootstrap_json(&params).unwrap();
                binary
                    .validate("sidecar", &bootstrap, dir.path())
                    .await
                    .unwrap();
            }
        }
    }
}
