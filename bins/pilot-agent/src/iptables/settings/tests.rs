//! Flags in, settings or problems out.

use clap::Parser;

use super::super::args::{Args, CleanArgs, Mode};
use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

#[derive(Debug, Parser)]
struct CleanLine {
    #[command(flatten)]
    args: CleanArgs,
}

/// Flags as they are typed, without the program's name.
pub(in crate::iptables) fn args(line: &str) -> Args {
    let words = std::iter::once("iptables").chain(line.split_whitespace());
    // Quotes are the shell's.
    Line::try_parse_from(words.map(|word| word.trim_matches('\'')))
        .unwrap()
        .args
}

/// A machine with IPv4 and IPv6, two DNS servers and one user.
pub(in crate::iptables) fn host() -> Host {
    Host {
        users: "envoy:x:1400:7::/:\n".into(),
        groups: "java:x:202:\n".into(),
        resolver: Ok("nameserver 10.0.0.53\nnameserver fd00::53\n".into()),
        addresses: vec!["10.0.0.7".parse().unwrap(), "fd00::7".parse().unwrap()],
        has_v6: true,
    }
}

fn resolve(line: &str) -> Settings {
    Settings::resolve(&args(line), &host()).unwrap()
}

fn check(line: &str, expected: &[&str]) {
    let problems = Settings::resolve(&args(line), &host()).unwrap_err();
    assert_eq!(problems, expected, "{line}");
}

#[test]
fn what_is_left_out() {
    let expected = Settings {
        outbound_port: 15001,
        inbound_port: 15006,
        tunnel_port: 15008,
        proxy_users: vec![1337],
        proxy_groups: vec![1337],
        mode: Mode::Redirect,
        mark: 1337,
        table: 133,
        inbound: Which::These(vec![]),
        inbound_except: vec![15090, 15021, 15020],
        outbound: Which::These(vec![]),
        outbound_except: vec![],
        outbound_ports: vec![],
        outbound_ports_except: vec![],
        interfaces_except: vec![],
        virtual_interfaces: vec![],
        groups: Groups::Except(vec![]),
        dns: None,
        drop_invalid: false,
        v6: false,
    };
    assert_eq!(resolve(""), expected);
    assert!(expected.is_idle());
    assert!(!resolve("--redirect-dns").is_idle());
}

#[test]
fn short_and_long_forms_are_the_same() {
    let short = "-p 1 -z 2 -e 3 -u 4 -g 5 -m tproxy -t 0x6 -r 7 -b 8 -d 9 -i 10.0.0.0/8 -x 10.1.1.1 -q 11 -o 12 -c eth1 -k vm+ -n -f";
    let long = "--envoy-port 1 --inbound-capture-port 2 --inbound-tunnel-port 3 --proxy-uid 4 --proxy-gid 5 \
        --istio-inbound-interception-mode TPROXY --istio-inbound-tproxy-mark 6 --istio-inbound-tproxy-route-table 7 \
        --istio-inbound-ports 8 --istio-local-exclude-ports 9 --istio-service-cidr 10.7.7.7/8 --istio-service-exclude-cidr 10.1.1.1/32 \
        --istio-outbound-ports 11 --istio-local-outbound-ports-exclude 12 --istio-exclude-interfaces eth1 --kube-virt-interfaces vm+ \
        --dry-run=true --restore-format=false";
    assert_eq!(resolve(short), resolve(long));
    assert!(args(short).dry_run && args(long).dry_run);
    assert_eq!(args(long).inert.warnings().len(), 1);
}

#[test]
fn lists() {
    let settings = resolve("-b 80,,80,90 -i 10.0.0.0/8,fd00::1 -d 22,15020 -u envoy -g java,9");
    assert_eq!(settings.inbound, Which::These(vec![80, 90]));
    let nets = ["10.0.0.0/8", "fd00::1/128"].map(|net| net.parse().unwrap());
    assert_eq!(settings.outbound, Which::These(nets.to_vec()));
    assert_eq!(settings.inbound_except, [22, 15020, 15090, 15021]);
    assert_eq!(
        (settings.proxy_users, settings.proxy_groups),
        (vec![1400], vec![202, 9])
    );
    assert_eq!(resolve("-u 7").proxy_groups, [7]);
    assert_eq!(resolve("-i '*' -b '*'").outbound, Which::All);
    assert_eq!(
        resolve("--istio-outbound-owner-groups java").groups,
        Groups::Only(vec![202])
    );
    assert_eq!(
        resolve("--istio-outbound-owner-groups-exclude 1,2").groups,
        Groups::Except(vec![1, 2])
    );
}

#[test]
fn the_user_of_the_proxy_is_found_by_name() {
    let mut host = host();
    host.users.push_str("istio-proxy:x:1500:1500::/:\n");
    let settings = Settings::resolve(&args(""), &host).unwrap();
    assert_eq!(
        (settings.proxy_users, settings.proxy_groups),
        (vec![1500], vec![1500])
    );
}

#[test]
fn when_ipv6_is_captured() {
    let v6 = |line: &str, addresses: &[&str], has_v6| {
        let addresses = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
        let host = Host {
            addresses,
            has_v6,
            ..host()
        };
        Settings::resolve(&args(line), &host).unwrap().v6
    };
    assert!(!v6("", &["10.0.0.7", "fd00::7"], true));
    assert!(v6("--dual-stack", &["10.0.0.7", "fd00::7"], true));
    assert!(v6("--dual-stack", &["10.0.0.7"], true));
    assert!(v6("", &["fd00::7"], true));
    assert!(!v6("", &[], true));
    assert!(!v6("--dual-stack", &["10.0.0.7"], false));
}

#[test]
fn dns_servers_are_those_of_the_machine() {
    let servers = ["10.0.0.53", "fd00::53"].map(|ip| ip.parse().unwrap());
    assert_eq!(
        resolve("--redirect-dns").dns,
        Some(Which::These(servers.to_vec()))
    );
    assert_eq!(
        resolve("--redirect-dns --capture-all-dns").dns,
        Some(Which::All)
    );
    assert_eq!(resolve("--capture-all-dns").dns, None);
    for (resolver, expected) in [
        (
            Ok(String::new()),
            "--redirect-dns: /etc/resolv.conf has no nameserver; --capture-all-dns needs no list of servers",
        ),
        (
            Err("it is away".to_owned()),
            "--redirect-dns: reading /etc/resolv.conf: it is away; --capture-all-dns needs no list of servers",
        ),
    ] {
        let host = Host { resolver, ..host() };
        assert_eq!(
            Settings::resolve(&args("--redirect-dns"), &host),
            Err(vec![expected.to_owned()])
        );
    }
}

#[test]
fn every_problem_is_told() {
    check(
        "-p 0 -b a,70000 -i 10/8 -c eth0/x",
        &[
            "--envoy-port 0: 0 is no port",
            "--istio-inbound-ports a: write a number from 1 to 65535; * stands alone",
            "--istio-inbound-ports 70000: write a number from 1 to 65535; * stands alone",
            "--istio-service-cidr 10/8: write a range such as 10.0.0.0/8 or fd00::/8; * stands alone",
            "--istio-exclude-interfaces eth0/x: no interface has such a name: at most 15 letters, no spaces, quotes or slashes",
        ],
    );
    check(
        "-z 15001 -e 15001",
        &[
            "--inbound-capture-port 15001: is also --envoy-port",
            "--inbound-tunnel-port 15001: is also --envoy-port",
            "--inbound-tunnel-port 15001: is also --inbound-capture-port",
        ],
    );
    check(
        "-u nobody -g nogroup",
        &[
            "--proxy-uid nobody: no such user in /etc/passwd",
            "--proxy-gid nogroup: no such group in /etc/group",
            "--proxy-uid: nobody is the proxy: what Envoy sends would be brought back to Envoy without end",
        ],
    );
    check(
        "-t 1338 -r main",
        &[
            "--istio-inbound-tproxy-mark 1338: is the mark of what Envoy sends to this machine itself",
            "--istio-inbound-tproxy-route-table main: write the number of a table that the kernel does not use itself, such as 133",
        ],
    );
    check(
        "--istio-outbound-owner-groups 1 --istio-outbound-owner-groups-exclude 2",
        &[
            "--istio-outbound-owner-groups-exclude 2: may be given only with --istio-outbound-owner-groups '*'",
        ],
    );
    let many: Vec<_> = (1..=65).map(|group: u32| group.to_string()).collect();
    check(
        &format!("--istio-outbound-owner-groups {}", many.join(",")),
        &["--istio-outbound-owner-groups: 65 groups are too many; at most 64"],
    );
}

#[test]
fn cleaning_accepts_what_setting_up_was_given() {
    let line = "clean -n -u 1337 -g 1337 -m TPROXY -t 1337 --redirect-dns --capture-all-dns=false";
    assert!(
        CleanLine::try_parse_from(line.split(' '))
            .unwrap()
            .args
            .dry_run
    );
}
