//! The commands on files, seen from a shell: what they print and what they exit with.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot run the binary has failed"
)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const WEB: &str = "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: web, namespace: shop }
spec:
  hosts: [web.example.com]
  addresses: [240.240.0.1]
  ports: [{ name: http, number: 80, protocol: HTTP }]
";

const PROXY: &str = "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local";

/// What a command did: its exit code, standard output and standard error.
type Done = (i32, String, String);

fn run(dir: &Path, args: &[&str], input: &str) -> Done {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pilotctl"))
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may have gone.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn dir(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

/// `validate ARGS` on these files exits with `code` and prints `expected`.
fn check(files: &[(&str, &str)], args: &[&str], input: &str, code: i32, expected: &str) {
    let dir = dir(files);
    let args = [&["validate"], args].concat();
    let done = run(dir.path(), &args, input);
    assert_eq!(done, (code, expected.to_owned(), String::new()), "{args:?}");
}

#[test]
fn good_files_are_good() {
    let files = [("mesh/a.yaml", WEB), ("mesh/readme.md", "kind: [")];
    let good = "1 object in 1 file: nothing is wrong\n";
    check(&files, &["-f", "mesh"], "", 0, good);
    check(&files, &["-f", "mesh", "mesh/a.yaml"], "", 0, good);
    check(&files, &["-f", "mesh", "-f", "mesh/"], "", 0, good);
    check(&[], &["-f", "-"], WEB, 0, good);
    let files = [("mesh/a.yaml", WEB), ("mc.yaml", "connectTimeout: 2s")];
    let args = ["-f", "mesh", "--mesh-config", "mc.yaml"];
    check(&files, &args, "", 0, good);
}

#[test]
fn a_problem_is_told_with_place_object_field_and_advice() {
    let misspelt = WEB.replace("protocol:", "protocl:");
    check(
        &[("mesh/eu/a.yaml", &misspelt)],
        &["-f", "mesh"],
        "",
        1,
        "mesh/eu/a.yaml:7:46: error: ServiceEntry shop/web: spec.ports[0].protocl: unknown field \"protocl\"
  6 |   addresses: [240.240.0.1]
  7 |   ports: [{ name: http, number: 80, protocl: HTTP }]
    |                                              ^
  hint: did you mean protocol?
0 objects in 1 file: 1 error
",
    );
}

#[test]
fn a_rule_that_can_be_read_is_checked_too() {
    let (code, out, _) = validate(
        &[("a.yaml", &WEB.replace("web.example.com", "a b"))],
        &["-f", "."],
    );
    assert_eq!(code, 1);
    let start = "./a.yaml:5:11: error: ServiceEntry shop/web: spec.hosts[0]: ";
    assert!(out.starts_with(start), "{out}");
}

fn validate(files: &[(&str, &str)], args: &[&str]) -> Done {
    let dir = dir(files);
    run(dir.path(), &[&["validate"], args].concat(), "")
}

#[test]
fn what_is_not_read_is_a_warning() {
    let text = "apiVersion: acme.example/v1\nkind: Widget\nmetadata: { name: web }\n---\napiVersion: v1\nkind: serviceEntry\nmetadata: { name: web }\n";
    let (code, out, _) = validate(&[("a.yaml", text)], &["-f", "a.yaml"]);
    assert_eq!(code, 0, "{out}");
    for expected in [
        "a.yaml:1: warning: Widget default/web: kind: Widget of acme.example/v1 is not read: the object has no effect\n  hint: what is read: ",
        "Namespace, Node, Service, Endpoints, Pod of v1",
        "WorkloadEntry",
        "a.yaml:5: warning: ",
        "  hint: did you mean ServiceEntry of networking.istio.io/v1?\n",
        "0 objects in 1 file: 2 warnings\n",
    ] {
        assert!(out.contains(expected), "{expected} is not in\n{out}");
    }
    let (code, _, _) = validate(&[("a.yaml", text)], &["-f", "a.yaml", "--strict"]);
    assert_eq!(code, 1);
}

/// A service, its slice, a rule that calls it by its short name, and what stands beside them in any folder of manifests.
const MANIFESTS: &str = "apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { clusterIP: 10.96.0.1, ports: [{ name: http, port: 80, targetPort: main }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: shop, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ name: http, port: 8080 }]
endpoints: [{ addresses: [10.0.0.9], nodeName: node-1 }]
---
apiVersion: v1
kind: Node
metadata: { name: node-1, labels: { topology.kubernetes.io/region: eu } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web, namespace: shop }
spec: { hosts: [web], http: [{ timeout: 7s, route: [{ destination: { host: web } }] }] }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: web, namespace: shop }
data: { a: b }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
";

#[test]
fn manifests_of_a_cluster_are_a_mesh() {
    let good = "4 objects in 1 file: nothing is wrong\n";
    check(&[("a.yaml", MANIFESTS)], &["-f", "a.yaml"], "", 0, good);
    check(&[], &["-f", "-", "--strict"], MANIFESTS, 0, good);

    let dir = dir(&[("a.yaml", MANIFESTS)]);
    let translated = |more: &[&str]| {
        let args = ["translate", "-f", "a.yaml", "--proxy", PROXY, "-o", "json"];
        let (code, out, err) = run(dir.path(), &[&args, more].concat(), "");
        assert_eq!((code, &*err), (0, ""));
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let all = translated(&[]);
    let endpoint = &all["endpoints"][0];
    let name = "outbound|80||web.shop.svc.cluster.local";
    assert_eq!(endpoint["cluster_name"], name, "{endpoint:#}");
    let locality = &endpoint["endpoints"][0];
    assert_eq!(locality["locality"]["region"], "eu");
    let address = &locality["lb_endpoints"][0]["endpoint"]["address"]["socket_address"];
    let expected = serde_json::json!({ "address": "10.0.0.9", "port_value": 8080 });
    assert_eq!(address, &expected);
    // The rule is that of the service, whatever the domain is.
    let routes = all["routes"].to_string();
    assert!(routes.contains("\"timeout\":\"7s\""), "{routes}");
    let routes = translated(&["--domain", "mesh.example"])["routes"].to_string();
    assert!(
        routes.contains("\"timeout\":\"7s\"") && routes.contains("web.shop.svc.mesh.example"),
        "{routes}"
    );
}

#[test]
fn a_manifest_that_is_wrong_is_told_with_place_and_field() {
    let wrong = MANIFESTS.replace("port: 80,", "port: 80000,");
    let (code, out, _) = validate(&[("a.yaml", &wrong)], &["-f", "a.yaml"]);
    assert_eq!(code, 1);
    let expected = "a.yaml:4:59: error: Service shop/web: spec.ports[0].port: 80000 is no port: they go from 1 to 65535\n";
    assert!(out.starts_with(expected), "{out}");
    assert!(out.ends_with("3 objects in 1 file: 1 error\n"), "{out}");
}

#[test]
fn what_is_there_twice_is_told_at_the_one_that_is_not_used() {
    let twice = format!("{WEB}---\n{WEB}");
    check(
        &[("a.yaml", &twice), ("b.yaml", WEB)],
        &["-f", "b.yaml", "a.yaml"],
        "",
        0,
        "a.yaml:9: warning: ServiceEntry shop/web: metadata.name: is declared twice: a.yaml:1 declares it, too; the oldest counts, then the first
  hint: remove one of them, or give it another name
b.yaml:1: warning: ServiceEntry shop/web: metadata.name: is declared twice: a.yaml:1 declares it, too; the oldest counts, then the first set by name
  hint: remove one of them, or give it another name
3 objects in 2 files: 2 warnings
",
    );
}

#[test]
fn objects_that_contradict_each_other_are_an_error_of_the_loser() {
    let tcp = WEB
        .replace("name: web,", "name: web-tcp,")
        .replace("name: http", "name: tcp")
        .replace("HTTP", "TCP");
    let (code, out, _) = validate(&[("a.yaml", WEB), ("b.yaml", &tcp)], &["-f", "."]);
    assert_eq!(code, 1);
    let start = "./b.yaml:1: error: ServiceEntry shop/web-tcp: spec.hosts: web.example.com is declared by ServiceEntry shop/web: port 80";
    assert!(out.starts_with(start), "{out}");
}

#[test]
fn what_cannot_be_read_does_not_hide_the_rest() {
    let (code, out, _) = validate(
        &[("a.yaml", WEB)],
        &["-f", "nowhere", "a.yaml", "--mesh-config", "absent"],
    );
    assert_eq!(code, 1);
    assert_eq!(
        out,
        "absent: error: cannot read absent; check that it is there and that this process may read it: No such file or directory (os error 2)
nowhere: error: cannot read nowhere; check that it is there and that this process may read it: No such file or directory (os error 2)
1 object in 1 file: 2 errors
"
    );
}

#[test]
fn mesh_config_is_checked() {
    check(
        &[
            ("a.yaml", WEB),
            ("mc.yaml", "# all\noutboundTrafficPolicy:\n  mode: NEVER\n"),
        ],
        &["-f", "a.yaml", "--mesh-config", "mc.yaml"],
        "",
        1,
        "mc.yaml:3:9: error: outboundTrafficPolicy.mode: the text \"NEVER\" is not known here
  2 | outboundTrafficPolicy:
  3 |   mode: NEVER
    |         ^
  hint: one of REGISTRY_ONLY, ALLOW_ANY, ALLOW_ANY_DYNAMIC_DNS
1 object in 1 file: 1 error
",
    );
}

#[test]
fn messages_can_be_read_by_programs() {
    let misspelt = WEB.replace("protocol:", "protocl:");
    let (code, out, _) = validate(&[("a.yaml", &misspelt)], &["-f", "a.yaml", "-o", "json"]);
    assert_eq!(code, 1);
    let found: Value = serde_json::from_str(&out).unwrap();
    let expected = serde_json::json!({ "files": 1, "objects": 0, "messages": [{
        "file": "a.yaml",
        "line": 7,
        "column": 46,
        "severity": "error",
        "object": { "kind": "ServiceEntry", "namespace": "shop", "name": "web" },
        "field": "spec.ports[0].protocl",
        "what": "unknown field \"protocl\"",
        "hint": "did you mean protocol?",
        "snippet": "6 |   addresses: [240.240.0.1]\n7 |   ports: [{ name: http, number: 80, protocl: HTTP }]\n  |                                              ^",
    }]});
    assert_eq!(found, expected);
}

#[test]
fn wrong_command_lines_exit_with_64_and_advise() {
    let dir = dir(&[("a.yaml", WEB)]);
    for (args, expected) in [
        (&["validate"] as &[&str], "--filename"),
        (&["validat"], "'validate'"),
        (&["translate", "-f", "a.yaml"], "--proxy"),
        (
            &["translate", "-f", "a.yaml", "--proxy", "web"],
            "type~ip~id~domain: it does not have four parts",
        ),
        (
            &[
                "translate",
                "-f",
                "a.yaml",
                "--proxy",
                PROXY,
                "--metadata",
                "x",
            ],
            "KEY=VALUE",
        ),
        (&["completion", "tcsh"], "bash"),
        (&[], "Usage"),
    ] {
        let (code, _, err) = run(dir.path(), args, "");
        assert_eq!(code, 64, "{args:?}: {err}");
        assert!(err.contains(expected), "{args:?}: {err}");
    }
}

#[test]
fn a_proxy_that_discovery_would_refuse_is_refused() {
    let dir = dir(&[
        ("a.yaml", WEB),
        ("no-id.yaml", "metadata: { NAMESPACE: shop }"),
        ("odd.yaml", "id: sidecar~10.0.0.1~a.b~c.d\nidd: x"),
    ]);
    for (args, expected) in [
        (
            &["--proxy", "sidecar~10.0.0.1~web-1~"] as &[&str],
            "set the metadata NAMESPACE",
        ),
        (
            &["--proxy", PROXY, "--metadata", "INTERCEPTION_MODE=x"],
            "none of REDIRECT, TPROXY and NONE",
        ),
        (
            &["--node", "no-id.yaml"],
            "set node.id to type~ip~id~domain",
        ),
        (&["--node", "odd.yaml"], "idd"),
        (&["--node", "absent.yaml"], "cannot read absent.yaml"),
    ] {
        let args = [&["translate", "-f", "a.yaml"], args].concat();
        let (code, out, err) = run(dir.path(), &args, "");
        assert_eq!((code, &*out), (1, ""), "{args:?}: {err}");
        assert!(
            err.starts_with("pilotctl: ") && err.contains(expected),
            "{args:?}: {err}"
        );
    }
}

#[test]
fn a_node_is_read_from_each_form_of_file() {
    let node = format!("id: {PROXY}\nmetadata: {{ INTERCEPTION_MODE: NONE }}\n");
    let json = serde_json::to_string(&serde_json::json!({ "node": {
        "id": PROXY, "metadata": { "INTERCEPTION_MODE": "NONE" },
    }, "admin": {} }));
    let dir = dir(&[
        ("a.yaml", WEB),
        ("n.yaml", &node),
        ("n.json", &json.unwrap()),
    ]);
    let forms: [&[&str]; 3] = [
        &["--node", "n.yaml"],
        &["--node", "n.json"],
        &["--proxy", PROXY, "--metadata", "INTERCEPTION_MODE=NONE"],
    ];
    let outputs = forms.map(|form| {
        let args = [&["translate", "-f", "a.yaml", "-o", "json"], form].concat();
        let (code, out, err) = run(dir.path(), &args, "");
        assert_eq!((code, &*err), (0, ""), "{form:?}");
        out
    });
    // What is not captured has no virtual listeners.
    assert!(!outputs[0].contains("virtualOutbound"));
    assert!(outputs[0].contains("outbound|80||web.example.com"));
    assert_eq!(outputs[0], outputs[1]);
    assert_eq!(outputs[0], outputs[2]);
}

#[test]
fn a_router_has_what_gateways_say_that_select_its_labels() {
    let gateway = format!(
        "{WEB}---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{ name: gw, namespace: shop }}
spec:
  selector: {{ app: edge }}
  servers: [{{ port: {{ name: http, number: 8080, protocol: HTTP }}, hosts: [web.example.com] }}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: web, namespace: shop }}
spec:
  hosts: [web.example.com]
  gateways: [gw]
  http: [{{ name: all, route: [{{ destination: {{ host: web.example.com }} }}] }}]
"
    );
    let id = "router~10.0.0.1~edge-1.shop~shop.svc.cluster.local";
    let node = |metadata: &str| format!("id: {id}\nmetadata: {{ {metadata} }}\n");
    let dir = dir(&[
        ("a.yaml", &gateway),
        ("n.yaml", &node("LABELS: { app: edge }")),
        ("other.yaml", &node("LABELS: { app: other, x: y }")),
        ("text.yaml", &node("LABELS: edge")),
    ]);
    let label = ["--label", "app=edge"];
    for (args, expected) in [
        (&["--node", "n.yaml"] as &[&str], true),
        (&["--proxy", id, label[0], label[1]], true),
        (&["--node", "other.yaml", label[0], label[1]], true),
        (&["--node", "other.yaml"], false),
        (&["--proxy", id], false),
    ] {
        let translate = [&["translate", "-f", "a.yaml", "-o", "json"], args].concat();
        let (_, out, err) = run(dir.path(), &translate, "");
        assert_eq!(out.contains("0.0.0.0_8080"), expected, "{args:?}: {err}");
        let url = "http://web.example.com:8080/";
        let explain = [&["explain", "-f", "a.yaml", url], args].concat();
        let (_, out, err) = run(dir.path(), &explain, "");
        let cluster = "outbound|80||web.example.com";
        assert_eq!(out.contains(cluster), expected, "{args:?}: {out}{err}");
    }
    let odd = ["translate", "-f", "a.yaml", "--node", "text.yaml"];
    let (code, _, err) = run(dir.path(), &[&odd[..], &label].concat(), "");
    assert_eq!(code, 1);
    assert!(err.contains("metadata LABELS is no object"), "{err}");
}

#[test]
fn the_configuration_is_printed_beside_messages_and_again_alike() {
    let broken = WEB.replace("web", "api").replace("protocol:", "protocl:");
    let dir = dir(&[("mesh/a.yaml", WEB), ("mesh/b.yaml", &broken)]);
    let args = |form| ["translate", "-f", "mesh", "--proxy", PROXY, "-o", form];
    for form in ["yaml", "json", "envoy"] {
        let done = run(dir.path(), &args(form), "");
        assert_eq!(done, run(dir.path(), &args(form), ""), "{form}");
        let (code, out, err) = done;
        assert_eq!(code, 1);
        assert!(out.contains("web.example.com") && !out.contains("api.example.com"));
        assert!(err.starts_with("mesh/b.yaml:7:46: error: "), "{err}");
        assert!(
            err.ends_with("1 error: what has errors is left out of the configuration\n"),
            "{err}"
        );
        let read: Value = serde_saphyr::from_str(&out).unwrap();
        let keys: Vec<_> = read.as_object().unwrap().keys().cloned().collect();
        let expected: &[&str] = match form {
            "envoy" => &["admin", "node", "static_resources"],
            _ => &["clusters", "endpoints", "listeners", "routes"],
        };
        assert_eq!(keys, expected);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let dir = dir(&[("a.yaml", WEB)]);
    let script = format!(
        "set -o pipefail; '{}' translate -f a.yaml --proxy '{PROXY}' | head -n 1",
        env!("CARGO_BIN_EXE_pilotctl")
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let done = (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    );
    assert_eq!(done, (Some(0), "clusters:\n".to_owned(), String::new()));
}

/// What is piped has no colours, as every other test here shows.
#[test]
fn colours_can_be_forced() {
    let dir = dir(&[("a.yaml", &WEB.replace("protocol:", "protocl:"))]);
    let output = Command::new(env!("CARGO_BIN_EXE_pilotctl"))
        .args(["validate", "-f", "a.yaml"])
        .env("CLICOLOR_FORCE", "1")
        .current_dir(dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("\u{1b}[1m\u{1b}[31merror\u{1b}[0m: "),
        "{text:?}"
    );
}

#[test]
fn scripts_and_pages_are_generated() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = run(dir.path(), &["completion", shell], "");
        assert_eq!(code, 0);
        assert!(
            out.contains("translate") && out.contains("mesh-config"),
            "{shell}"
        );
    }
    let (_, bash, _) = run(dir.path(), &["completion", "bash"], "");
    fs::write(dir.path().join("script"), bash).unwrap();
    let read = Command::new("bash")
        .arg("-n")
        .arg("script")
        .current_dir(dir.path())
        .status();
    assert!(read.unwrap().success());

    assert_eq!(
        run(dir.path(), &["collateral", "new"], ""),
        (0, String::new(), String::new())
    );
    let page = fs::read_to_string(dir.path().join("new/man/pilotctl-translate.1")).unwrap();
    assert!(
        page.contains("Examples:") && page.contains("\\-\\-mesh\\-config"),
        "{page}"
    );
    assert!(dir.path().join("new/man/pilotctl.1").is_file());
    assert!(!dir.path().join("new/man/pilotctl-collateral.1").exists());
}
