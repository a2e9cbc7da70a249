use super::*;
use crate::status::verdicts::Refused;
use pilothouse_core::model::Host;
use pilothouse_core::registry::{Meta, Origin, RegistryId, SetId};
use pilothouse_core::status::{NotSupported, Rejected};

fn winner() -> Source {
    Source {
        registry: RegistryId::new("Kubernetes", "east"),
        object: Meta::new("VirtualService", "shop", "first").key,
    }
}

fn lost_over(over: Contest) -> Lost {
    Lost {
        over,
        to: winner(),
        at: None,
        why: "the oldest counts".into(),
    }
}

fn rejected(earlier_in_force: bool) -> Rejected {
    Rejected {
        at: Origin::new("7"),
        problems: vec![
            Problem::error("spec.hosts", "is empty").hint("name a host"),
            Problem::warning("spec.odd", "is not known"),
            Problem::error("spec.http[0]", "goes nowhere"),
        ],
        earlier_in_force,
    }
}

#[track_caller]
fn check(status: &ObjectStatus, verdict: &Verdict, expected: &[(&str, bool, &str, &str)]) {
    let said = said(status, verdict);
    let said: Vec<_> = said
        .iter()
        .map(|said| (said.name, said.status, said.reason, &*said.message))
        .collect();
    assert_eq!(said, expected);
}

#[test]
fn what_is_in_force_is_accepted() {
    let expected = [("Accepted", true, "Accepted", "in force")];
    check(&ObjectStatus::default(), &Verdict::default(), &expected);
    let copy = ObjectStatus {
        lost: vec![lost_over(Contest::Copy(SetId::new("a")))],
        ..ObjectStatus::default()
    };
    check(&copy, &Verdict::default(), &expected);
}

#[test]
fn what_is_not_in_force_says_why() {
    let none = Verdict::default();
    let of = |rejected| ObjectStatus {
        rejected: [(SetId::new("a"), rejected)].into(),
        ..ObjectStatus::default()
    };
    let problems = "spec.hosts: is empty (name a host); spec.http[0]: goes nowhere";
    check(
        &of(rejected(false)),
        &none,
        &[(
            "Accepted",
            false,
            "Invalid",
            &format!("it has no effect: {problems}"),
        )],
    );
    check(
        &of(rejected(true)),
        &none,
        &[(
            "Accepted",
            false,
            "Invalid",
            &format!("an earlier version stays in force: {problems}"),
        )],
    );
    let not_supported = ObjectStatus {
        not_supported: Some(NotSupported {
            why: "nothing carries it out".into(),
            unprotected: true,
        }),
        ..ObjectStatus::default()
    };
    check(
        &not_supported,
        &none,
        &[("Accepted", false, "NotSupported", "nothing carries it out")],
    );
    let conflicted = ObjectStatus {
        lost: vec![lost_over(Contest::Name)],
        ..ObjectStatus::default()
    };
    let to = "lost to VirtualService shop/first of Kubernetes/east: the oldest counts";
    check(&conflicted, &none, &[("Accepted", false, "Conflicted", to)]);
}

#[test]
fn what_is_wrong_with_it_in_part_stands_beside() {
    let host = || Host::new("web.shop").unwrap();
    let status = ObjectStatus {
        lost: vec![
            lost_over(Contest::Destination(host(), Some("v1".into()))),
            lost_over(Contest::Routing(host())),
            lost_over(Contest::Server("spec.servers[0]".into())),
        ],
        references: [Problem::warning("spec.a", "is not there")].into(),
        warnings: [Problem::warning("spec.b", "is odd")].into(),
        ..ObjectStatus::default()
    };
    let refused = |proxies| Refused {
        proxies,
        message: "no such filter".into(),
    };
    let verdict = Verdict {
        refused: [
            (
                "type.googleapis.com/envoy.config.cluster.v3.Cluster".into(),
                refused(3),
            ),
            (
                "type.googleapis.com/envoy.config.listener.v3.Listener".into(),
                refused(1),
            ),
        ]
        .into(),
        lost: ["spec.servers[0]: lost".to_owned()].into(),
        ineffective: [(String::new(), "patch 2: matches nothing".to_owned())].into(),
    };
    let to = "lost to VirtualService shop/first of Kubernetes/east: the oldest counts";
    check(
        &status,
        &verdict,
        &[
            ("Accepted", true, "Accepted", "in force"),
            (
                "Conflicted",
                true,
                "LostInPart",
                &format!(
                    "host web.shop, subset v1: {to}; routes for web.shop: {to}; spec.servers[0]: lost"
                ),
            ),
            (
                "Refused",
                true,
                "RefusedByProxies",
                "3 proxies, Cluster: no such filter; 1 proxy, Listener: no such filter",
            ),
            (
                "Warned",
                true,
                "RefersInVain",
                "spec.a: is not there; patch 2: matches nothing; spec.b: is odd",
            ),
        ],
    );
}

#[test]
fn a_message_has_an_end() {
    let long = "ü".repeat(LONGEST + 5);
    let cut = short(long);
    assert_eq!(cut.chars().count(), LONGEST + 4);
    assert!(cut.ends_with("ü ..."));
    assert_eq!(short("brief".into()), "brief");
}

#[test]
fn times_move_only_with_the_status() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let accepted = |status, message: &str| Said {
        name: "Accepted",
        status,
        reason: "R",
        message: message.into(),
    };
    let first = news(&[accepted(true, "a")], 1, &[], at(0)).unwrap();
    assert_eq!(first[0].since, "1970-01-01T00:00:00Z");
    assert_eq!(news(&[accepted(true, "a")], 1, &first, at(60)), None);
    let second = news(&[accepted(true, "b")], 2, &first, at(60)).unwrap();
    assert_eq!(
        (second[0].since.as_str(), second[0].generation),
        ("1970-01-01T00:00:00Z", 2)
    );
    let third = news(&[accepted(false, "b")], 2, &second, at(60)).unwrap();
    assert_eq!(third[0].since, "1970-01-01T00:01:00Z");
    assert_eq!(news(&[], 2, &third, at(70)), Some(Vec::new()));
}

#[test]
fn what_is_written_is_read_again() {
    let said = Said {
        name: "Refused",
        status: true,
        reason: "RefusedByProxies",
        message: "no".into(),
    };
    let own = said.stamped(4, &[], Timestamp::UNIX_EPOCH);
    let written = own.write();
    assert_eq!(written["type"], "pilothouse.dev/Refused");
    assert_eq!(Condition::read(&written), Some(own));
    assert_eq!(Condition::read(&json!({"type": "Accepted"})), None);
    assert_eq!(Condition::read(&json!(null)), None);
}
