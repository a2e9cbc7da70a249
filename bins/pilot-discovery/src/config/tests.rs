//! The flag table.

use pilothouse_process::logging::Target;
use pilothouse_process::version::Output;
use pilothouse_process::{USAGE, exit_code};

use super::*;

fn discovery(flags: &str) -> Result<Config, String> {
    let line = ["pilot-discovery", "discovery"]
        .into_iter()
        .chain(flags.split_whitespace());
    match parse(line) {
        Ok(Command::Discovery(config)) => Ok(*config),
        Ok(other) => Err(format!("{other:?}")),
        Err(error) => {
            assert_eq!(exit_code(&error), USAGE);
            Err(error.to_string())
        }
    }
}

/// `flags` lead to `expected` in the resolved value.
fn check<T: PartialEq + fmt::Debug>(flags: &str, field: fn(&Config) -> T, expected: T) {
    let config = discovery(&format!("--config-dir mesh {flags}"))
        .unwrap_or_else(|problem| panic!("{flags}: {problem}"));
    assert_eq!(field(&config), expected, "{flags}");
    assert_eq!(config.warnings, Vec::<String>::new(), "{flags}");
}

#[test]
fn defaults() {
    let config = discovery("--config-dir mesh").unwrap();
    let dir = |dir: &str, awaited| Source::Static {
        dir: dir.into(),
        awaited,
    };
    assert_eq!(config.sources, [dir("mesh", false)]);
    let unsaid = discovery("").unwrap();
    assert_eq!(unsaid.sources, [dir("/etc/istio/config", true)]);
    assert_eq!(config.grpc_addr.to_string(), ":15010");
    assert_eq!(config.http_addr.to_string(), ":8080");
    assert_eq!(config.monitoring_addr.unwrap().to_string(), ":15014");
    assert_eq!(config.debug_addr.unwrap().to_string(), "127.0.0.1:9876");
    assert_eq!(config.shutdown, Duration::from_secs(10));
    assert_eq!(config.log.targets, [Target::Stdout]);
    assert_eq!(config.mesh_config, None);
}

#[test]
fn every_spelling_of_the_original_is_accepted() {
    let secs = Duration::from_secs;
    check(
        "--configDir mesh --registries static",
        |c| c.sources.len(),
        1,
    );
    check("--registries=Static,Static", |c| c.sources.len(), 1);
    for flag in [
        "--mesh-config m.yaml",
        "--meshConfig m.yaml",
        "--meshConfig=m.yaml",
    ] {
        check(
            flag,
            |c| c.mesh_config.clone(),
            Some(MeshConfigPlace::File("m.yaml".into())),
        );
    }
    for (flag, expected) in [
        ("", VirtualServiceMerge::Off),
        ("--virtual-service-merge off", VirtualServiceMerge::Off),
        (
            "--virtual-service-merge=namespace",
            VirtualServiceMerge::Namespace,
        ),
    ] {
        check(flag, |c| c.virtual_service_merge, expected);
    }
    for flag in ["--grpc-addr :1", "--grpcAddr :1", "--grpcAddr=1"] {
        check(flag, |c| c.grpc_addr.to_string(), ":1".into());
    }
    for flag in ["--http-addr :1", "--httpAddr :1", "--port 1"] {
        check(flag, |c| c.http_addr.to_string(), ":1".into());
    }
    for flag in [
        "--monitoring-addr :1",
        "--monitoringAddr :1",
        "--monitoringPort 1",
    ] {
        check(
            flag,
            |c| c.monitoring_addr.as_ref().map(ToString::to_string),
            Some(":1".into()),
        );
    }
    for flag in ["--monitoring-addr off", "--monitoringAddr="] {
        check(flag, |c| c.monitoring_addr.clone(), None);
    }
    for flag in [
        "--debug-addr localhost:1",
        "--ctrlz_port 1 --ctrlz_address localhost",
    ] {
        check(
            flag,
            |c| c.debug_addr.as_ref().map(ToString::to_string),
            Some("localhost:1".into()),
        );
    }
    check(
        "--ctrlz_port 1",
        |c| c.debug_addr.as_ref().map(ToString::to_string),
        Some("127.0.0.1:1".into()),
    );
    for flag in ["--shutdown-duration 1m", "--shutdownDuration 60s"] {
        check(flag, |c| c.shutdown, secs(60));
    }
    for flag in ["--cluster-id east", "--clusterID east"] {
        check(flag, |c| c.cluster_id.clone(), "east".into());
    }
    check("--keepaliveInterval 5s", |c| c.limits.keepalive, secs(5));
    check(
        "--keepaliveTimeout 5s",
        |c| c.limits.keepalive_timeout,
        secs(5),
    );
    check(
        "--keepaliveMaxServerConnectionAge 30m",
        |c| c.limits.age,
        Some(secs(1800)),
    );
    for flag in ["--log_as_json", "--log_as_json=true", "--log-as-json"] {
        check(flag, |c| c.log.json, true);
    }
    check("--log_as_json=false", |c| c.log.json, false);
    check(
        "--log_target stderr,/var/log/pilot.log",
        |c| c.log.targets.clone(),
        vec![Target::Stderr, Target::File("/var/log/pilot.log".into())],
    );
    for flag in [
        "--log_output_level default:debug,ads:info",
        "--log-output-level debug,ads:info",
    ] {
        check(
            flag,
            |c| {
                let names = c.log.output.names();
                (names.get("ads").copied(), names.get("default").copied())
            },
            (Some("info"), Some("debug")),
        );
    }
    check(
        "--guard-fraction 25% --guard-off",
        |c| (c.guard.fraction, c.guard.enabled),
        (0.25, false),
    );
}

#[test]
fn every_flag_without_meaning_warns_once() {
    for flag in INERT {
        let values = [
            format!("--{0}=true --{0}=true", flag.name),
            flag.short.map_or_else(
                || format!("--{}=x", flag.name),
                |letter| format!("-{letter} x"),
            ),
        ];
        for given in values {
            let config = discovery(&format!("--config-dir mesh {given}")).unwrap();
            assert_eq!(
                config.warnings,
                [format!("--{} has no effect: {}", flag.name, flag.why)],
                "{given}"
            );
        }
    }
    let config = discovery("--config-dir mesh --profile --resync 1s --clusterAliases a=b").unwrap();
    assert_eq!(config.warnings.len(), 3);
}

#[test]
fn mistakes_are_answered_with_advice() {
    for (flags, advice) in [
        ("--config-dri mesh", "--config-dir"),
        ("--registries Statik --config-dir m", "Static"),
        (
            "--registries Eureka --config-dir m",
            "[possible values: Static, Kubernetes, Consul]",
        ),
        ("--config-dir m --grpcAddr nowhere", "write it as :15010"),
        ("--config-dir m --shutdown-duration 10", "10s"),
        (
            "--config-dir m --debounce-max 1ms",
            "shorter than --debounce-after",
        ),
        (
            "--config-dir m --log_output_level adz:info",
            "the scopes are default, ads",
        ),
        (
            "--config-dir m --log_stacktrace_level ads:all",
            "the levels are none, error",
        ),
        ("--config-dir m --guard-fraction 3", "between 0 and 1"),
    ] {
        let problem = discovery(flags).err().unwrap_or_default();
        assert!(problem.contains(advice), "{flags}: {problem}");
    }
}

#[test]
fn a_debug_listener_for_everybody_is_warned_of() {
    let config = discovery("--config-dir m --debug-addr :9876").unwrap();
    assert_eq!(config.warnings.len(), 1);
}

#[test]
fn consul_is_asked_with_tls_where_flags_say_so() {
    let asked = |flags: &str| {
        let config = discovery(&format!("--registries Consul {flags}"))?;
        match &config.sources[..] {
            [Source::Consul { client, .. }] => Ok((**client).clone()),
            other => Err(format!("{other:?}")),
        }
    };
    let tls = "--consul-ca-file ca --consul-client-cert-file cert --consul-client-key-file key --consul-tls-server-name server";
    let client = asked(&format!("--consul-address https://consul:8501 {tls}")).unwrap();
    assert_eq!(client.ca_file, Some("ca".into()));
    assert_eq!(
        client.client_certificate,
        Some(("cert".into(), "key".into()))
    );
    assert_eq!(client.server_name, "server");
    let plain = asked(&format!("--consul-address consul:8500 {tls}")).unwrap_err();
    let told = "--consul-ca-file is about TLS, and http://consul:8500 has none";
    assert!(plain.contains(told), "{plain}");
    let half = asked("--consul-address https://consul:8501 --consul-client-cert-file cert");
    let told = half.unwrap_err();
    assert!(told.contains("--consul-client-key-file"), "{told}");
}

#[test]
fn help_and_version_are_no_mistakes() {
    for line in [
        &["pilot-discovery", "--version"][..],
        &["pilot-discovery", "--help"],
        &["pilot-discovery", "discovery", "--help"],
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(exit_code(&error), 0, "{line:?}");
    }
    let missing = parse(["pilot-discovery"]).unwrap_err();
    assert_eq!(exit_code(&missing), USAGE);
    assert!(matches!(
        parse(["pilot-discovery", "version", "-o", "json"]),
        Ok(Command::Version(VersionArgs {
            output: Output::Json,
            short: false
        }))
    ));
}

#[test]
fn the_domain_is_that_of_services() {
    let check = |line: &str, expected: &str| {
        let config = discovery(line).unwrap();
        assert_eq!(
            (config.domain.as_str(), &config.warnings[..]),
            (expected, &[][..])
        );
    };
    check("--config-dir m", "cluster.local");
    check("--config-dir m --domain mesh.example", "mesh.example");
}

/// The documentation has every flag that is ignored with its reason, every port, and every scope.
#[test]
fn the_readme_is_true() {
    let readme = include_str!("../../../../README.md");
    for flag in INERT {
        let line = readme
            .lines()
            .find(|line| line.starts_with('|') && line.contains(&format!("`--{}`", flag.name)));
        assert!(
            line.is_some_and(|line| line.contains(flag.why)),
            "README.md has no row with --{} and: {}",
            flag.name,
            flag.why
        );
    }
    let config = discovery("--config-dir m").unwrap();
    for port in [
        Some(config.grpc_addr),
        Some(config.http_addr),
        config.monitoring_addr,
        config.debug_addr,
    ]
    .into_iter()
    .flatten()
    {
        assert!(readme.contains(&format!("| {}", port.port)), "{port}");
    }
    for scope in logging::SCOPES {
        assert!(
            readme.contains(&format!("`{}`", scope.name)),
            "{}",
            scope.name
        );
    }
}

#[test]
fn kubernetes_is_read_as_the_flags_say() {
    let kubernetes = |flags: &str| {
        let config = discovery(&format!("--registries kubernetes {flags}")).unwrap();
        assert_eq!(config.warnings, Vec::<String>::new(), "{flags}");
        match config.sources.as_slice() {
            [
                Source::Kubernetes {
                    config: read,
                    access,
                },
            ] => (config.namespace, (**read).clone(), (**access).clone()),
            other => panic!("{flags}: {other:?}"),
        }
    };
    let (namespace, read, access) = kubernetes("");
    assert_eq!(namespace, "istio-system");
    assert_eq!(read, KubernetesConfig::default());
    assert_eq!((access.kubeconfig, access.context), (None, None));
    assert_eq!((access.qps, access.burst), (80.0, 160));
    assert!(access.user_agent.starts_with("pilot-discovery/"));
    for flags in [
        "--kubeconfig k --context c -n ns -a app --clusterID east --kubernetesApiQPS 1.5 --kubernetesApiBurst 7 --domain d.example",
        "--kubeconfig=k --context=c --namespace ns --appNamespace app --cluster-id east --kubernetes-api-qps 1.5 --kubernetes-api-burst 7 --domain d.example",
        "--kubeconfig=k --context=c --namespace ns --app-namespace app --cluster-id east --kubernetes-api-qps 1.5 --kubernetes-api-burst 7 --domain d.example",
    ] {
        let (namespace, read, access) = kubernetes(flags);
        assert_eq!(namespace, "ns");
        let expected = KubernetesConfig {
            cluster: "east".into(),
            domain: "d.example".into(),
            namespace: Some("app".into()),
            ..KubernetesConfig::default()
        };
        assert_eq!(read, expected, "{flags}");
        assert_eq!(access.kubeconfig, Some("k".into()));
        assert_eq!(access.context.as_deref(), Some("c"));
        assert_eq!((access.qps, access.burst), (1.5, 7));
    }
    let all = discovery("--registries Kubernetes,Consul,Static --config-dir mesh").unwrap();
    assert_eq!(all.sources.len(), 3);
}
