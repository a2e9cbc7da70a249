//! What `pilotctl proxy-config` prints of dumps: every table, the filters, and what it says of files that are no dumps.
//!
//! `tests/data` has dumps of real Envoys of the mesh in `mesh.yaml` (the suite `pilotctl_inspect` writes them), and one by hand with
//! every shape that those do not have.

#![allow(
    clippy::unwrap_used,
    reason = "tests state what must hold, in helpers as well as in tests"
)]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The Envoys whose dumps there are.
const VERSIONS: [&str; 2] = ["1.36.4", "1.40.0"];
/// What is shown.
const KINDS: [&str; 5] = ["cluster", "listener", "route", "endpoint", "bootstrap"];

#[test]
fn tables_of_real_envoys() {
    for kind in KINDS {
        let [oldest, newest] = VERSIONS.map(|version| {
            let text = table(&[kind, "-f", &data(&format!("envoy-{version}.json"))]);
            // The one thing in which they may differ.
            text.replace(version, "VERSION")
        });
        assert_eq!(oldest, newest, "{kind}");
        insta::assert_snapshot!(kind, newest);
    }
}

#[test]
fn tables_of_every_shape() {
    let dump = data("every-shape.json");
    insta::assert_snapshot!("every_shape", table(&["all", "-f", &dump]));
}

/// A page of a running Envoy and its dump tell the same.
#[test]
fn endpoints_of_a_page_and_of_a_dump() {
    for version in VERSIONS {
        let page = std::fs::read(data(&format!("clusters-{version}.json"))).unwrap();
        let envoy = one_answer(page);
        for form in ["short", "json"] {
            let live = table(&["endpoint", &envoy, "-o", form]);
            let dump = data(&format!("envoy-{version}.json"));
            assert_eq!(live, table(&["endpoint", "-f", &dump, "-o", form]));
        }
    }
}

#[test]
fn filters() {
    for (args, expected) in [
        (&["cluster", "--fqdn", "web.example.com"][..], 2),
        (&["cluster", "--port", "17402"], 2),
        (&["cluster", "--port", "17402", "--direction", "INBOUND"], 1),
        (&["cluster", "--direction", "outbound"], 9),
        (&["cluster", "--subset", "v1"], 0),
        (&["listener", "--port", "15006"], 6),
        (&["listener", "--address", "240.240.0.20"], 3),
        (&["listener", "--type", "tcp"], 5),
        (&["listener", "--type", "HTTP"], 0),
        (&["listener", "--type", "http+tcp", "--port", "17080"], 2),
        (&["route", "--name", "17080"], 4),
        (&["endpoint", "--address", "10.2.0.1"], 4),
        (&["endpoint", "--port", "8080"], 5),
        (
            &[
                "endpoint",
                "--cluster",
                "outbound|17306||db.shop.svc.cluster.local",
            ],
            1,
        ),
        (&["endpoint", "--status", "healthy", "--port", "17443"], 4),
        (&["endpoint", "--status", "unhealthy"], 0),
    ] {
        let dump = data("envoy-1.40.0.json");
        let text = table(&[args, &["-f", &dump]].concat());
        // The heading is a line, too.
        assert_eq!(text.lines().count(), expected + 1, "{args:?}\n{text}");
        // Data is filtered as tables are. Of a listener and a route table the table has several lines.
        let json = table(&[args, &["-o", "json", "-f", &dump]].concat());
        let items: Value = serde_json::from_str(&json).unwrap();
        let items = items.as_array().unwrap().len();
        assert_eq!(items == 0, expected == 0, "{args:?}");
        if matches!(args.first(), Some(&"cluster" | &"endpoint")) {
            assert_eq!(items, expected, "{args:?}");
        }
    }
}

#[test]
fn colours_are_for_terminals_alone() {
    let coloured = |variables: &[(&str, &str)]| {
        let output = Command::new(env!("CARGO_BIN_EXE_pilotctl"))
            .args(["pc", "ep", "-f", &data("every-shape.json")])
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        output.stdout.contains(&0x1b)
    };
    // Standard output is a pipe.
    assert!(!coloured(&[]));
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("NO_COLOR", "1")]));
}

/// Data is what Envoy has, whatever it is.
#[test]
fn data_is_not_interpreted() {
    let text = table(&[
        "cluster",
        "-o",
        "json",
        "--fqdn",
        "sds-grpc",
        "-f",
        &data("every-shape.json"),
    ]);
    let shown: Value = serde_json::from_str(&text).unwrap();
    let expected = serde_json::json!([{ "name": "sds-grpc", "cluster_type": { "name": "envoy.clusters.later",
        "typed_config": { "@type": "type.googleapis.com/a.type.that.nobody.Knows" } } }]);
    assert_eq!(shown, expected);
}

#[test]
fn errors_name_the_next_step() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let without_eds = file(
        "without.json",
        r#"{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump"}]}"#,
    );
    let yaml = file("mesh.yaml", "kind: ServiceEntry\n");
    let page = file("page.json", r#"{"cluster_statuses":[]}"#);
    for (args, expected) in [
        (
            ["endpoint", "-f", &without_eds],
            "the dump has no endpoints: take one of everything with curl",
        ),
        (
            ["cluster", "-f", &yaml],
            "mesh.yaml is no JSON: take a dump with curl",
        ),
        (["cluster", "-f", &page], "page.json is no dump of an Envoy"),
        (
            ["cluster", "-f", "/nowhere/dump.json"],
            "reading /nowhere/dump.json; take a dump with curl",
        ),
        (
            ["cluster", "--proxy-admin", "127.0.0.1:1"],
            "no Envoy answers at 127.0.0.1:1 (Connection refused",
        ),
        (
            ["cluster", "--proxy-admin", "web-1"],
            "\"web-1\" is no address",
        ),
    ] {
        let output = pilotctl(&args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.starts_with("pilotctl: ") && said.contains(expected),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(output.stdout.is_empty());
    }
    let both = pilotctl(&["cluster", "-f", "a", "127.0.0.1:15000"]);
    assert_eq!(both.status.code(), Some(64));
}

/// Whoever reads the first lines only, as `head` does, gets no error.
#[test]
fn a_reader_that_goes_is_no_error() {
    for form in ["short", "json", "yaml"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pilotctl"))
            .args([
                "proxy-config",
                "all",
                "-o",
                form,
                "-f",
                &data("envoy-1.40.0.json"),
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && said.is_empty(), "{form}: {said}");
    }
}

fn table(args: &[&str]) -> String {
    let output = pilotctl(args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && said.is_empty(),
        "{args:?}: {said}"
    );
    String::from_utf8(output.stdout).unwrap()
}

fn pilotctl(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pilotctl"))
        .arg("proxy-config")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn data(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    path.join(name).to_str().unwrap().to_owned()
}

/// An address at which requests are answered with `body`, until this process ends.
fn one_answer(body: Vec<u8>) -> String {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = [0; 4096];
            assert_ne!(stream.read(&mut asked).unwrap(), 0);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    address
}
