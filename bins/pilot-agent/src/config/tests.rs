//! The flag table, and the layers below flags.

use std::fs;

use pilothouse_core::model::{Locality, ProxyKind};
use pilothouse_process::logging::Target;
use pilothouse_process::{USAGE, exit_code};
use serde_json::{Value, json};

use super::*;

/// Surroundings with these variables, on a machine at 10.0.0.1.
fn around(environment: &[(&str, &str)]) -> Surroundings {
    Surroundings {
        environment: environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        addresses: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
        cpus: None,
        envoy: "envoy".into(),
    }
}

fn proxy_in(flags: &str, around: &Surroundings) -> Result<Config, String> {
    let line = ["pilot-agent", "proxy"]
        .into_iter()
        .chain(flags.split_whitespace());
    match parse(line, around) {
        Ok(Command::Proxy(config)) => Ok(*config),
        Ok(other) => Err(format!("{other:?}")),
        Err(Failure::Source(problem)) => Err(problem),
        Err(Failure::Usage(error)) => {
            assert_eq!(exit_code(&error), USAGE);
            Err(error.to_string())
        }
    }
}

fn proxy(flags: &str, environment: &[(&str, &str)]) -> Config {
    proxy_in(flags, &around(environment)).unwrap_or_else(|problem| panic!("{flags}: {problem}"))
}

/// `flags` lead to `expected` in the resolved value, without a warning.
fn check<T: PartialEq + std::fmt::Debug>(flags: &str, field: fn(&Config) -> T, expected: T) {
    let config = proxy(flags, &[]);
    assert_eq!(field(&config), expected, "{flags}");
    assert_eq!(config.warnings, Vec::<String>::new(), "{flags}");
}

/// The same for variables.
fn with<T: PartialEq + std::fmt::Debug>(
    environment: &[(&str, &str)],
    field: fn(&Config) -> T,
    expected: T,
) {
    assert_eq!(field(&proxy("", environment)), expected, "{environment:?}");
}

fn node(config: &Config) -> String {
    config.identity.node.to_string()
}

fn discovery(config: &Config) -> Vec<String> {
    config.discovery.iter().map(ToString::to_string).collect()
}

fn drain(config: &Config) -> (u64, u64) {
    (
        config.drain.at_least.as_secs(),
        config.drain.at_most.as_secs(),
    )
}

#[test]
fn defaults() {
    let config = proxy("", &[]);
    assert_eq!(node(&config), "sidecar~10.0.0.1~10.0.0.1~");
    assert_eq!(config.identity.cluster, "istio-proxy");
    assert_eq!(
        Value::Object(config.identity.metadata.clone()),
        json!({
            "NAMESPACE": "default",
            "CLUSTER_ID": "default",
            "INSTANCE_IPS": "10.0.0.1,fd00::1",
            "ENVOY_STATUS_PORT": 15021,
            "ENVOY_PROMETHEUS_PORT": 15090,
        })
    );
    assert_eq!(discovery(&config), ["127.0.0.1:15010"]);
    assert!(!config.control_plane_tls && !config.direct_xds);
    assert_eq!(config.config_path, PathBuf::from("/etc/istio/proxy"));
    assert_eq!(
        config.envoy,
        EnvoyConfig {
            binary: "envoy".into(),
            source: Source::Own,
            concurrency: None,
            log_level: "warning".to_owned(),
            component_log_level: "misc:error".to_owned(),
            drain_duration: Duration::from_secs(45),
            outlier_log: None,
            overlay: None,
        }
    );
    assert_eq!(
        config.ports,
        Ports {
            admin: "127.0.0.1:15000".parse().unwrap(),
            status: Some(15020),
            readiness: 15021,
            prometheus: 15090,
        }
    );
    assert_eq!(drain(&config), (5, 45));
    assert_eq!(config.dns, None);
    assert_eq!(config.certificates.dir, PathBuf::from("/etc/certs"));
    assert_eq!(config.log.targets, [Target::Stdout]);
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn every_spelling_of_the_original_is_accepted() {
    let secs = Duration::from_secs;
    let role = |config: &Config| config.identity.node.kind;
    check("sidecar", role, ProxyKind::Sidecar);
    check("router", role, ProxyKind::Router);
    for flag in ["--serviceCluster x", "--service-cluster=x"] {
        check(flag, |c| c.identity.cluster.clone(), "x".to_owned());
    }
    for flag in [
        "--serviceregistry Consul",
        "--serviceregistry=consul",
        "--service-registry Consul",
        "--serviceRegistry Consul",
    ] {
        check(
            flag,
            node,
            "sidecar~10.0.0.1~10.0.0.1.service.consul~service.consul".to_owned(),
        );
    }
    check(
        "--ip 10.0.0.9 --id web-1.shop --domain shop.svc.cluster.local",
        node,
        "sidecar~10.0.0.9~web-1.shop~shop.svc.cluster.local".to_owned(),
    );
    for flag in ["--discoveryAddress a:1,b:2", "--discovery-address a:1,b:2"] {
        check(flag, discovery, vec!["a:1".to_owned(), "b:2".to_owned()]);
    }
    for flag in [
        "--controlPlaneAuthPolicy MUTUAL_TLS",
        "--control-plane-auth-policy mutual_tls",
    ] {
        check(flag, |c| c.control_plane_tls, true);
        check(flag, discovery, vec!["127.0.0.1:15012".to_owned()]);
    }
    check(
        "--controlPlaneAuthPolicy NONE",
        |c| c.control_plane_tls,
        false,
    );
    for flag in ["--direct-xds", "--directXds"] {
        check(flag, |c| c.direct_xds, true);
    }
    for flag in ["--configPath /x", "--config-path /x"] {
        check(flag, |c| c.config_path.clone(), "/x".into());
        check(flag, |c| c.certificates.socket.clone(), "/x/SDS".into());
    }
    for flag in ["--binaryPath /x", "--binary-path /x"] {
        check(flag, |c| c.envoy.binary.clone(), "/x".into());
    }
    for flag in ["--templateFile /x", "--template-file /x"] {
        let source = Source::Template {
            file: "/x".into(),
            without_telemetry: false,
        };
        check(flag, |c| c.envoy.source.clone(), source);
    }
    for flag in [
        "--disableInternalTelemetry",
        "--disableInternalTelemetry=true",
        "--disable-internal-telemetry",
    ] {
        let source = Source::Template {
            file: "/x".into(),
            without_telemetry: true,
        };
        check(
            &format!("--templateFile /x {flag}"),
            |c| c.envoy.source.clone(),
            source,
        );
    }
    for flag in ["--customConfigFile /x", "--custom-config-file /x"] {
        check(flag, |c| c.envoy.source.clone(), Source::File("/x".into()));
    }
    for flag in ["--proxyAdminPort 1", "--proxy-admin-port 1"] {
        check(
            flag,
            |c| c.ports.admin.to_string(),
            "127.0.0.1:1".to_owned(),
        );
    }
    for flag in ["--statusPort 1", "--status-port 1"] {
        check(flag, |c| c.ports.status, Some(1));
    }
    check("--statusPort 0", |c| c.ports.status, None);
    check("--concurrency 3", |c| c.envoy.concurrency, Some(3));
    check("--concurrency 0", |c| c.envoy.concurrency, None);
    for (flag, level) in [
        ("--proxyLogLevel debug", "debug"),
        ("--proxy-log-level warn", "warning"),
    ] {
        check(flag, |c| c.envoy.log_level.clone(), level.to_owned());
    }
    for flag in [
        "--proxyComponentLogLevel misc:off",
        "--proxy-component-log-level misc:off",
    ] {
        check(
            flag,
            |c| c.envoy.component_log_level.clone(),
            "misc:off".to_owned(),
        );
    }
    for flag in ["--outlierLogPath /x", "--outlier-log-path /x"] {
        check(flag, |c| c.envoy.outlier_log.clone(), Some("/x".into()));
    }
    for flag in ["--drainDuration 1m", "--drain-duration 60s"] {
        check(flag, |c| c.envoy.drain_duration, secs(60));
        check(flag, drain, (5, 60));
    }
    for flag in [
        "--terminationDrainDuration 30s",
        "--termination-drain-duration 30s",
    ] {
        check(flag, drain, (5, 30));
    }
    for flag in ["--dns-capture", "--dnsCapture", "--dns-capture=true"] {
        check(
            flag,
            |c| c.dns.as_ref().map(|dns| dns.listen.to_string()),
            Some("localhost:15053".to_owned()),
        );
    }
    check("--dns-capture=false", |c| c.dns.clone(), None);
    check(
        "--dns-capture --dns-addr :53",
        |c| c.dns.as_ref().map(|dns| dns.listen.to_string()),
        Some(":53".to_owned()),
    );
    for flag in ["--cert-dir /x", "--certDir /x"] {
        check(flag, |c| c.certificates.dir.clone(), "/x".into());
    }
    for (flag, locality) in [
        ("--availabilityZone a", "//a"),
        ("--availability-zone eu/a/r1", "eu/a/r1"),
        ("--locality eu", "//eu"),
    ] {
        let expected = match locality.strip_prefix("//") {
            Some(zone) => Locality::new("", zone, ""),
            None => Locality::parse(locality),
        };
        check(flag, |c| c.identity.locality.clone(), expected);
    }
    for flag in ["--interceptionMode TPROXY", "--interception-mode tproxy"] {
        check(
            flag,
            |c| c.identity.metadata["INTERCEPTION_MODE"].clone(),
            json!("TPROXY"),
        );
    }
    check(
        "--log_output_level default:debug",
        |c| c.log.output.names().get("default").copied(),
        Some("debug"),
    );
    // The last one counts.
    check(
        "--concurrency 3 --concurrency 4",
        |c| c.envoy.concurrency,
        Some(4),
    );
}

#[test]
fn the_platform_gives_what_is_not_said() {
    let pod = [("POD_NAME", "web-1"), ("POD_NAMESPACE", "shop")];
    let in_pod = |flags| node(&proxy(flags, &pod));
    assert_eq!(
        in_pod(""),
        "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local"
    );
    assert_eq!(
        in_pod("router --serviceregistry Static"),
        "router~10.0.0.1~10.0.0.1~"
    );
    assert_eq!(
        in_pod("--domain mesh.example"),
        "sidecar~10.0.0.1~web-1.shop~mesh.example"
    );
    with(
        &pod,
        discovery,
        vec!["istiod.istio-system.svc:15010".to_owned()],
    );
    with(
        &[("INSTANCE_IP", "10.9.9.9,fd00::9")],
        |c| {
            let ips = c.identity.metadata["INSTANCE_IPS"].clone();
            (c.identity.node.ip.to_string(), ips)
        },
        ("10.9.9.9".to_owned(), json!("10.9.9.9,fd00::9")),
    );
    for (flags, namespace) in [
        ("--id web-1.shop", "shop"),
        ("--domain shop.svc.cluster.local", "shop"),
        ("--domain mesh.example", "default"),
        ("--id 10.0.0.7", "default"),
        ("--id web-1.shop --namespace pay", "pay"),
    ] {
        assert_eq!(proxy(flags, &[]).identity.namespace, namespace, "{flags}");
    }
}

#[test]
fn metadata_comes_from_variables_the_file_and_flags() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("labels");
    fs::write(&file, "app=\"web\"\nversion=\"v1\"\n").unwrap();
    let flags = format!("--labels-file {} --label version=v3", file.display());
    let environment = [
        ("POD_NAME", "web-1"),
        ("POD_NAMESPACE", "shop"),
        ("SERVICE_ACCOUNT", "web"),
        ("ISTIO_META_CLUSTER_ID", "east"),
        ("ISTIO_META_NETWORK", "net1"),
        (
            "ISTIO_METAJSON_LABELS",
            "{\"version\":\"v2\",\"tier\":\"a\"}",
        ),
    ];
    let identity = proxy(&flags, &environment).identity;
    let expected = json!({
        "CLUSTER_ID": "east",
        "ENVOY_PROMETHEUS_PORT": 15090,
        "ENVOY_STATUS_PORT": 15021,
        "INSTANCE_IPS": "10.0.0.1,fd00::1",
        "LABELS": { "app": "web", "tier": "a", "version": "v3" },
        "NAME": "web-1",
        "NAMESPACE": "shop",
        "NETWORK": "net1",
        "SERVICE_ACCOUNT": "web",
    });
    assert_eq!(Value::Object(identity.metadata), expected);
    assert_eq!(identity.cluster, "web.shop");
    fs::write(&file, "app\n").unwrap();
    let problem = proxy_in(&flags, &around(&[])).unwrap_err();
    assert!(problem.contains("line 1"), "{problem}");
}

#[test]
fn the_upper_layer_is_stronger() {
    let dir = tempfile::tempdir().unwrap();
    let mesh = dir.path().join("mesh");
    fs::write(
        &mesh,
        "defaultConfig:\n  discoveryAddress: mesh:1\n  concurrency: 1\n  statusPort: 1\n  drainDuration: 1s\n",
    )
    .unwrap();
    let flag = format!("--meshConfig {}", mesh.display());
    let all = |c: &Config| {
        let address = discovery(c).concat();
        (address, c.envoy.concurrency, c.ports.status)
    };
    let written = [(
        "PROXY_CONFIG",
        "{discoveryAddress: 'variable:1', concurrency: 2}",
    )];
    assert_eq!(
        all(&proxy(&flag, &[])),
        ("mesh:1".to_owned(), Some(1), Some(1))
    );
    assert_eq!(
        all(&proxy(&flag, &written)),
        ("variable:1".to_owned(), Some(2), Some(1))
    );
    let flags = format!("{flag} --concurrency 3 --discoveryAddress flag:1");
    assert_eq!(
        all(&proxy(&flags, &written)),
        ("flag:1".to_owned(), Some(3), Some(1))
    );
    // proxyMetadata is as good as the environment, which is stronger.
    let metadata =
        "proxyMetadata: {ISTIO_META_A: low, ISTIO_META_B: low, ISTIO_META_DNS_CAPTURE: true}";
    let both = proxy("", &[("PROXY_CONFIG", metadata), ("ISTIO_META_A", "high")]);
    assert_eq!(both.identity.metadata["A"], "high");
    assert_eq!(both.identity.metadata["B"], "low");
    assert!(both.dns.is_some());
}

#[test]
fn variables() {
    with(
        &[("ENVOY_STATUS_PORT", "1"), ("ENVOY_PROMETHEUS_PORT", "2")],
        |c| (c.ports.readiness, c.ports.prometheus),
        (1, 2),
    );
    with(
        &[
            ("ISTIO_META_DNS_CAPTURE", "true"),
            ("DNS_PROXY_ADDR", "127.0.0.1:1053"),
            ("DNS_FORWARD_TIMEOUT", "2s"),
        ],
        |c| {
            c.dns
                .as_ref()
                .map(|dns| (dns.listen.to_string(), dns.forward_timeout))
        },
        Some(("127.0.0.1:1053".to_owned(), Duration::from_secs(2))),
    );
    for (environment, expected) in [
        (&[("MINIMUM_DRAIN_DURATION", "1s")][..], (1, 45)),
        (&[("TERMINATION_DRAIN_DURATION_SECONDS", "20")], (5, 20)),
        (&[("TERMINATION_DRAIN_DURATION_SECONDS", "2")], (2, 2)),
        (&[("EXIT_ON_ZERO_ACTIVE_CONNECTIONS", "true")], (5, 45)),
        (&[("EXIT_ON_ZERO_ACTIVE_CONNECTIONS", "false")], (5, 5)),
        (
            &[
                ("EXIT_ON_ZERO_ACTIVE_CONNECTIONS", "false"),
                ("PROXY_CONFIG", "terminationDrainDuration: 9s"),
            ],
            (9, 9),
        ),
    ] {
        with(environment, drain, expected);
    }
    with(
        &[("ISTIO_CPU_LIMIT", "2")],
        |c| c.envoy.concurrency,
        Some(2),
    );
    let limited = Surroundings {
        cpus: Some(3),
        ..around(&[])
    };
    let threads = |flags| proxy_in(flags, &limited).map(|config| config.envoy.concurrency);
    assert_eq!(threads(""), Ok(Some(3)));
    assert_eq!(threads("--concurrency 0"), Ok(None));
}

#[test]
fn every_flag_without_meaning_warns_once() {
    for flag in INERT {
        for given in [
            format!("--{0}=true --{0}=true", flag.name),
            format!("--{}=x", flag.name),
        ] {
            let config = proxy(&given, &[]);
            assert_eq!(
                config.warnings,
                [format!("--{} has no effect: {}", flag.name, flag.why)],
                "{given}"
            );
        }
    }
    assert_eq!(proxy("--bootstrapv2 --stsPort 1", &[]).warnings.len(), 2);
    assert_eq!(proxy("ingress", &[]).warnings.len(), 1);
}

#[test]
fn mistakes_are_answered_with_advice() {
    for (flags, environment, advice) in [
        ("--discoveryAdress a:1", &[][..], "--discoveryAddress"),
        ("gateway", &[], "sidecar"),
        ("--discoveryAddress a", &[], "write it as HOST:PORT"),
        ("--drainDuration 10", &[], "10s"),
        ("--concurrency many", &[], "--concurrency"),
        ("--controlPlaneAuthPolicy TLS", &[], "MUTUAL_TLS"),
        ("--proxyLogLevel loud", &[], "the levels are trace, debug"),
        ("--serviceregistry Kubernetes", &[], "POD_NAME"),
        ("--serviceregistry Eureka", &[], "Consul"),
        ("--id a~b", &[], "cannot be part of a node id"),
        ("--label app", &[], "KEY=VALUE"),
        (
            "--templateFile a --customConfigFile b",
            &[],
            "cannot be used with",
        ),
        (
            "--direct-xds --controlPlaneAuthPolicy MUTUAL_TLS",
            &[],
            "leave one of them out",
        ),
        ("--direct-xds --dns-capture", &[], "leave --direct-xds out"),
        ("--log_output_level adz:info", &[], "the scopes are default"),
        ("--meshConfig /nowhere", &[], "--mesh-config /nowhere"),
        ("", &[("PROXY_CONFIG", "[")], "PROXY_CONFIG"),
        (
            "",
            &[("PROXY_CONFIG", "concurrency: a")],
            "PROXY_CONFIG.concurrency",
        ),
        ("", &[("INSTANCE_IP", "host")], "INSTANCE_IP=host"),
        ("", &[("ENVOY_STATUS_PORT", "x")], "ENVOY_STATUS_PORT=x"),
        (
            "",
            &[("MINIMUM_DRAIN_DURATION", "5")],
            "MINIMUM_DRAIN_DURATION=5",
        ),
        (
            "",
            &[("ISTIO_KUBE_APP_PROBERS", "{")],
            "ISTIO_KUBE_APP_PROBERS",
        ),
        ("", &[("ISTIO_BOOTSTRAP_OVERRIDE", "/nowhere")], "/nowhere"),
    ] {
        let problem = proxy_in(flags, &around(environment))
            .err()
            .unwrap_or_default();
        assert!(
            problem.contains(advice),
            "{flags} {environment:?}: {problem}"
        );
    }
    let nowhere = Surroundings {
        addresses: Vec::new(),
        ..around(&[])
    };
    let problem = proxy_in("", &nowhere).unwrap_err();
    assert!(problem.contains("--ip"), "{problem}");
}

#[test]
fn every_command_is_understood() {
    for (line, expected) in [
        ("proxy", "Proxy"),
        ("bootstrap", "Bootstrap"),
        ("bootstrap --grpc router --ip 10.0.0.1", "Bootstrap"),
        ("iptables --dry-run", "Iptables"),
        ("istio-iptables -n", "Iptables"),
        ("clean-iptables", "CleanIptables"),
        ("istio-clean-iptables", "CleanIptables"),
        ("request GET clusters", "Request"),
        ("wait", "Wait"),
        ("completion bash", "Completion"),
        ("version -o json", "Version"),
        ("exec-envoy --parent 1 envoy -c x --stsPort 1", "Exec"),
    ] {
        let words = ["pilot-agent"].into_iter().chain(line.split_whitespace());
        let command =
            parse(words, &around(&[])).unwrap_or_else(|failure| panic!("{line}: {failure:?}"));
        let name = format!("{command:?}");
        assert!(name.starts_with(expected), "{line}: {name}");
    }
    for line in ["--help", "--version", "proxy --help", "bootstrap --help"] {
        let words = ["pilot-agent"].into_iter().chain(line.split_whitespace());
        match parse(words, &around(&[])) {
            Err(Failure::Usage(error)) => assert_eq!(exit_code(&error), 0, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
}
