//! Our tool on a real kernel: twice the same, other flags, gone without a trace, and half done.

use pilothouse_tests::netns::{Machine, User};

use super::mesh::{Ground, agent, possible};
use crate::world::SOON;

/// Everything that can be captured.
const ALL: [&str; 8] = [
    "-i",
    "*",
    "-b",
    "*",
    "--redirect-dns",
    "--capture-all-dns",
    "--dual-stack",
    "--drop-invalid",
];
const TPROXY: [&str; 7] = [
    "-i",
    "10.0.0.0/8",
    "-b",
    "80,90",
    "-m",
    "TPROXY",
    "--dual-stack",
];
const KINDS: [&str; 2] = ["nft", "legacy"];

/// What somebody else has set up.
const FOREIGN: &str = "set -e
iptables-KIND -t nat -N FOREIGN
iptables-KIND -t nat -A FOREIGN -m comment --comment 'not -j ISTIO_OUTPUT' -j RETURN
iptables-KIND -t nat -A OUTPUT -p tcp --dport 9 -j FOREIGN
ip6tables-KIND -t mangle -A PREROUTING -p udp --dport 9 -j ACCEPT
ip rule add fwmark 9 lookup 9
ip rule add fwmark 1337 lookup 133
ip route add local 192.0.2.0/24 dev lo table 133";

#[tokio::test]
async fn setting_up_twice_changes_nothing() {
    for kind in kinds() {
        let (_ground, machine) = foreign(kind).await;
        for flags in [&ALL[..], &TPROXY] {
            iptables(&machine, flags).await.unwrap();
            // Something that rules count.
            let refused = machine.connect((machine.v4(), 9).into(), SOON).await;
            assert!(refused.is_err());
            let once = (state(&machine).await, counted(&machine).await);
            assert!(!once.1.is_empty(), "{}", once.0);
            iptables(&machine, flags).await.unwrap();
            let twice = (state(&machine).await, counted(&machine).await);
            assert_eq!(twice, once, "{kind} {flags:?}");
        }
    }
}

#[tokio::test]
async fn the_kernel_has_what_a_dry_run_prints() {
    for kind in kinds() {
        let (_ground, machine) = foreign(kind).await;
        for flags in [&ALL[..], &TPROXY] {
            let before = state(&machine).await;
            let printed = iptables(&machine, &[flags, &["-n"]].concat())
                .await
                .unwrap();
            assert_eq!(state(&machine).await, before, "a dry run changes nothing");
            iptables(&machine, flags).await.unwrap();
            let rules = |text: &str| {
                let mut all: Vec<_> = text
                    .lines()
                    .filter(|line| line.starts_with("-A") && line.contains("ISTIO"))
                    .map(str::to_owned)
                    .collect();
                all.sort();
                all
            };
            let (printed, seen) = (rules(&printed), rules(&state(&machine).await));
            // The comment of the foreign rule names a chain of ours.
            let seen: Vec<_> = seen
                .into_iter()
                .filter(|rule| !rule.contains("FOREIGN"))
                .collect();
            assert_eq!(seen, printed, "{kind} {flags:?}");
        }
    }
}

#[tokio::test]
async fn other_flags_replace_what_is_ours() {
    for kind in kinds() {
        let (_ground, machine) = foreign(kind).await;
        iptables(&machine, &ALL).await.unwrap();
        let fresh = state(&machine).await;
        iptables(&machine, &TPROXY).await.unwrap();
        iptables(
            &machine,
            &["-b", "80", "-m", "TPROXY", "-t", "7", "-r", "8"],
        )
        .await
        .unwrap();
        let other = state(&machine).await;
        assert!(
            other.contains("fwmark 0x7 lookup 8") && !other.contains("::6"),
            "{other}"
        );
        iptables(&machine, &ALL).await.unwrap();
        assert_eq!(state(&machine).await, fresh, "{kind}");
    }
}

#[tokio::test]
async fn cleaning_leaves_what_was_there_before() {
    for kind in kinds() {
        let (_ground, machine) = foreign(kind).await;
        let before = state(&machine).await;
        for flags in [&ALL[..], &TPROXY] {
            iptables(&machine, flags).await.unwrap();
            let printed = clean(&machine, &["-n"]).await;
            assert!(printed.contains("-D OUTPUT -j ISTIO_OUTPUT"), "{printed}");
            clean(&machine, &[]).await;
            assert_eq!(state(&machine).await, before, "{kind} {flags:?}");
            clean(&machine, &[]).await;
            assert_eq!(clean(&machine, &["-n"]).await, "");
        }
        // The address that somebody else has added is left to them.
        let six = "ip -6 addr add ::6/128 dev lo";
        machine.run(User::Root, &["sh", "-c", six]).await.unwrap();
        let before = state(&machine).await;
        iptables(&machine, &ALL).await.unwrap();
        clean(&machine, &[]).await;
        assert_eq!(state(&machine).await, before, "{kind}");
    }
}

/// A step that fails takes back those before it; and what a killed run has left can be removed.
#[tokio::test]
async fn nothing_stays_half_done() {
    for kind in kinds() {
        let (_ground, machine) = foreign(kind).await;
        let before = state(&machine).await;
        // Without a loopback interface there can be no route to it, which is the last step.
        let shell = |script: &str| ["sh".to_owned(), "-c".to_owned(), script.to_owned()];
        run(&machine, &shell("ip link set lo down")).await;
        let error = iptables(&machine, &TPROXY).await.unwrap_err().to_string();
        assert!(error.contains("ip link set lo up"), "{error}");
        run(&machine, &shell("ip link set lo up")).await;
        assert_eq!(state(&machine).await, before, "{kind}");

        iptables(&machine, &TPROXY).await.unwrap();
        let half = format!(
            "iptables-{kind} -t nat -F ISTIO_OUTPUT && ip6tables-{kind} -t mangle -D PREROUTING -p tcp -j ISTIO_INBOUND"
        );
        run(&machine, &shell(&half)).await;
        clean(&machine, &[]).await;
        assert_eq!(state(&machine).await, before, "{kind}");
    }
}

/// What the proxy's user sends to its own machine comes to where Envoy will be.
#[tokio::test]
async fn whether_it_works_can_be_asked() {
    if !possible() {
        return;
    }
    let mut ground = Ground::new();
    let machine = ground.machine("machine");
    let agent = agent().await.display().to_string();
    let ask = async |user| {
        let line = [
            agent.as_str(),
            "iptables",
            "-b",
            "*",
            "--dual-stack",
            "--skip-rule-apply",
            "--run-validation",
        ];
        machine.run(user, &line).await
    };
    let error = ask(User::Proxy).await.unwrap_err().to_string();
    assert!(
        error.contains("10.77.0.1:15002: nothing has taken the connection"),
        "{error}"
    );
    let error = ask(User::Root).await.unwrap_err().to_string();
    assert!(error.contains("runs as user 0"), "{error}");
    iptables(&machine, &["-b", "*", "--dual-stack"])
        .await
        .unwrap();
    ask(User::Proxy).await.unwrap();
    // Half of it is not enough.
    let line = [
        "ip6tables-nft",
        "-t",
        "nat",
        "-D",
        "OUTPUT",
        "-j",
        "ISTIO_OUTPUT",
    ];
    machine.run(User::Root, &line).await.unwrap();
    let error = ask(User::Proxy).await.unwrap_err().to_string();
    assert!(
        error.contains("[fd77::1]:15002: nothing has taken the connection"),
        "{error}"
    );
}

#[tokio::test]
async fn wrong_flags_are_refused_with_every_reason() {
    if !possible() {
        return;
    }
    let mut ground = Ground::new();
    let machine = ground.machine("machine");
    let error = iptables(&machine, &["-b", "a", "-i", "10/8"])
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("--istio-inbound-ports a: ")
            && error.contains("--istio-service-cidr 10/8: "),
        "{error}"
    );
}

/// The kinds of programs; none where there can be no machines.
fn kinds() -> Vec<&'static str> {
    if possible() {
        KINDS.to_vec()
    } else {
        Vec::new()
    }
}

/// A machine on which somebody else has rules of this kind.
async fn foreign(kind: &str) -> (Ground, Machine) {
    let mut ground = Ground::new();
    let machine = ground.machine("machine");
    let script = FOREIGN.replace("KIND", kind);
    machine
        .run(User::Root, &["sh", "-c", &script])
        .await
        .unwrap();
    (ground, machine)
}

async fn iptables(machine: &Machine, flags: &[&str]) -> anyhow::Result<String> {
    let agent = agent().await.display().to_string();
    let line = [&[agent.as_str(), "istio-iptables"], flags].concat();
    machine.run(User::Root, &line).await
}

async fn clean(machine: &Machine, flags: &[&str]) -> String {
    let agent = agent().await.display().to_string();
    let line = [&[agent.as_str(), "istio-clean-iptables"], flags].concat();
    machine.run(User::Root, &line).await.unwrap()
}

async fn run(machine: &Machine, line: &[String]) {
    let line: Vec<_> = line.iter().map(String::as_str).collect();
    machine.run(User::Root, &line).await.unwrap();
}

/// All rules, routes and addresses. Chains of the kernel's own do not count: they stay once they are there.
async fn state(machine: &Machine) -> String {
    let text = saved(machine, "; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all; ip addr show dev lo").await;
    let keep = |line: &&str| {
        !line.starts_with(['#', '*']) && *line != "COMMIT" && !line.contains(" ACCEPT [")
    };
    let bare = |line| uncounted(line).map_or(line, |(_, rule)| rule);
    text.lines()
        .filter(keep)
        .map(bare)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The rules of ours that have seen packets, with how many.
async fn counted(machine: &Machine) -> Vec<String> {
    let text = saved(machine, "").await;
    let has_counted = |line: &&str| {
        uncounted(line).is_some_and(|(count, rule)| count != "0:0" && rule.starts_with("-A ISTIO_"))
    };
    text.lines()
        .filter(has_counted)
        .map(str::to_owned)
        .collect()
}

fn uncounted(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix('[')?.split_once("] ")
}

/// What both kinds of programs see, and what else `script` prints.
async fn saved(machine: &Machine, script: &str) -> String {
    let script = format!(
        "for kind in nft legacy; do for ip in iptables ip6tables; do $ip-$kind-save -c 2>/dev/null; done; done{script}"
    );
    machine
        .run(User::Root, &["sh", "-c", &script])
        .await
        .unwrap()
}
