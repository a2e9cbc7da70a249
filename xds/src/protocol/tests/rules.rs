//! A test for each numbered rule of the xDS protocol that a stream can keep or break.

use super::script::{CDS, EDS, LDS, RDS, Script};
use super::world::World;
use crate::fanout::Fanout;
use crate::protocol::{Interest, Limits, Mode, Names, ProtocolError, Service, Settings, Stream};
use crate::resource::ResourceType;

const DELTA: Mode = Mode::Delta;
const SOTW: Mode = Mode::Sotw;

fn small() -> World {
    World::new("a1 b1", "a1 b1", "l1//r", "r1/a")
}

#[test]
fn r02_types_have_versions_and_nonces_of_their_own() {
    let mut s = Script::ready(SOTW, small());
    s.sotw(CDS, "", "");
    s.sotw(RDS, "", "r");
    s.sent(&["cds +a1 +b1"]);
    // Another type's nonce does not acknowledge.
    let cds = s.last(CDS);
    s.sotw(EDS, &cds.nonce, "a");
    s.sent(&["eds +a1"]);
    s.ack(CDS);
    s.ack(EDS);
    s.sent(&["rds +r1"]);
    assert_ne!(s.last(EDS).nonce, s.last(RDS).nonce);
    assert_ne!(s.last(CDS).version, s.last(RDS).version);
}

#[test]
fn r03_a_foreign_nonce_in_the_first_request_is_a_first_request() {
    for nonce in ["1", "7.1", "junk"] {
        let mut s = Script::ready(SOTW, small());
        s.sotw(CDS, nonce, "");
        s.sent(&["cds +a1 +b1"]);
        let mut s = Script::ready(DELTA, small());
        s.delta_with(CDS, nonce, None, "", "");
        s.sent(&["cds +a1 +b1"]);
    }
}

#[test]
fn r05_r06_a_rejection_is_told_by_its_error_and_is_not_answered_with_the_same() {
    let mut s = Script::ready(SOTW, World::new("a1 b1", "", "", ""));
    s.sotw(CDS, "", "");
    s.sent(&["cds +a1 +b1"]);
    s.ack(CDS);
    s.change(|w| w.put(CDS, "a2"), &["cds +a2 +b1"]);
    // The version of a rejection is the last good one: it may well be equal.
    let last = s.last(CDS);
    s.sotw_with(CDS, &last.nonce, Some("cluster a: bad"), &last.version);
    s.sent(&[]);
    s.change(|w| w.put(CDS, "b2"), &["cds +a1 +b2"]);
    s.ack(CDS);
    s.change(|w| w.put(CDS, "a3"), &["cds +a3 +b2"]);
}

#[test]
fn r06_subscriptions_in_a_rejection_apply() {
    let mut s = Script::ready(DELTA, small());
    s.delta(CDS, "a", "");
    s.sent(&["cds +a1"]);
    let nonce = s.last(CDS).nonce;
    s.delta_with(CDS, &nonce, Some("a is bad"), "b", "");
    s.sent(&["cds +b1"]);
    let mut s = Script::ready(SOTW, small());
    s.sotw(RDS, "", "r");
    s.sent(&["rds +r1"]);
    let nonce = s.last(RDS).nonce;
    s.world.put(RDS, "q1");
    s.publish();
    s.sent(&[]);
    s.sotw(RDS, &nonce, "q r");
    s.sent(&["rds +q1"]);
}

#[test]
fn r07_sotw_ignores_stale_nonces_and_answers_new_subscriptions() {
    let mut s = Script::ready(SOTW, small());
    s.sotw(EDS, "", "a");
    s.sent(&["eds +a1"]);
    let old = s.last(EDS).nonce;
    s.ack(EDS);
    s.change(|w| w.put(EDS, "a2"), &["eds +a2"]);
    // Said before the second response was known.
    s.sotw(EDS, &old, "a b");
    s.sent(&[]);
    let new = s.last(EDS).nonce;
    s.sotw(EDS, &new, "a b");
    s.sent(&["eds +b1"]);
    s.ack(EDS);
    s.sent(&[]);
    s.sotw(EDS, "", "a");
    s.sent(&["eds +a2"]);
}

#[test]
fn r07_a_second_first_request_does_not_repeat_what_is_under_way() {
    let mut s = Script::ready(SOTW, small());
    s.sotw(EDS, "", "a");
    s.sent(&["eds +a1"]);
    s.sotw(EDS, "", "a b");
    s.sent(&[]);
    s.ack(EDS);
    s.sent(&["eds +b1"]);
}

#[test]
fn r08_delta_subscriptions_apply_whatever_the_nonce() {
    let mut s = Script::ready(DELTA, small());
    s.delta(EDS, "a", "");
    s.sent(&["eds +a1"]);
    let old = s.last(EDS).nonce;
    s.ack(EDS);
    s.change(|w| w.put(EDS, "a2"), &["eds +a2"]);
    s.delta_with(EDS, &old, None, "b", "");
    // It is no acknowledgement.
    s.sent(&[]);
    s.ack(EDS);
    s.sent(&["eds +b1"]);
    s.ack(EDS);
    s.delta_with(EDS, &old, None, "", "a");
    s.change(|w| w.put(EDS, "a3 b2"), &["eds +b2"]);
}

#[test]
fn r09_nothing_is_repeated_but_what_is_asked_for_again() {
    for mode in [DELTA, SOTW] {
        let mut s = Script::ready(mode, small());
        s.start("a b", "r");
        s.change(|_| {}, &[]);
        s.ack(CDS);
        s.ack(CDS);
        s.sent(&[]);
    }
    let mut s = Script::ready(DELTA, small());
    s.start("a", "r");
    s.delta(EDS, "b", "");
    s.sent(&["eds +b1"]);
    s.ack(EDS);
    s.delta(EDS, "a", "");
    s.sent(&["eds +a1"]);
    s.delta(RDS, "r", "");
    s.sent(&["rds +r1"]);
    s.delta(CDS, "a", "");
    s.sent(&["cds +a1"]);
}

#[test]
fn r10_requests_that_queue_up_get_one_answer() {
    let mut s = Script::ready(DELTA, small());
    s.delta(EDS, "a", "");
    s.delta(EDS, "b", "");
    s.delta(EDS, "a", "");
    s.sent(&["eds +a1 +b1"]);
    let mut s = Script::ready(SOTW, small());
    s.sotw(CDS, "", "a");
    s.sotw(CDS, "", "b");
    s.sent(&["cds +b1"]);
}

#[test]
fn r11_no_names_mean_everything_until_a_name_was_asked_for() {
    let mut s = Script::ready(SOTW, small());
    s.sotw(CDS, "", "");
    s.sent(&["cds +a1 +b1"]);
    let nonce = s.last(CDS).nonce;
    s.sotw(CDS, &nonce, "a");
    s.sent(&["cds +a1"]);
    let nonce = s.last(CDS).nonce;
    s.sotw(CDS, &nonce, "");
    s.sent(&[]);
    s.change(|w| w.put(CDS, "a2 b2"), &[]);
    // Types without a wildcard have no such rule.
    s.sotw(RDS, "", "");
    s.sotw(EDS, "", "");
    s.sent(&[]);
}

#[test]
fn r11_no_names_mean_nothing_to_clients_that_ask_by_name() {
    let mut s = Script::ready(SOTW, small());
    s.stream.by_name_only();
    s.sotw(CDS, "", "");
    s.sent(&[]);
    s.sotw(CDS, "", "a");
    s.sent(&["cds +a1"]);
    let mut s = Script::ready(DELTA, small());
    s.stream.by_name_only();
    s.delta(CDS, "", "");
    s.sent(&[]);
    s.delta(CDS, "a", "");
    s.sent(&["cds +a1"]);
}

#[test]
fn r12_the_wildcard_mixes_with_names() {
    let mut s = Script::ready(DELTA, small());
    s.delta(CDS, "", "");
    s.sent(&["cds +a1 +b1"]);
    s.ack(CDS);
    s.delta(CDS, "a x", "");
    s.sent(&["cds +a1 -x"]);
    s.ack(CDS);
    // What is part of everything is sent again, what is not is gone.
    s.delta(CDS, "", "a x");
    s.sent(&["cds +a1 -x"]);
    s.ack(CDS);
    s.delta(CDS, "a", "");
    s.sent(&["cds +a1"]);
    s.ack(CDS);
    s.delta(CDS, "", "*");
    s.sent(&[]);
    s.change(|w| w.put(CDS, "a2 b2"), &["cds +a2"]);
    s.ack(CDS);
    s.delta(CDS, "*", "");
    s.sent(&["cds +b2"]);
    s.ack(CDS);
    s.delta(CDS, "*", "");
    s.sent(&[]);
    // An explicit wildcard is that of any type.
    s.delta(RDS, "*", "");
    s.sent(&["rds +r1"]);
}

#[test]
fn r12_sotw_asks_for_everything_by_a_name() {
    let mut s = Script::ready(SOTW, small());
    s.sotw(CDS, "", "* a");
    s.sent(&["cds +a1 +b1"]);
    let nonce = s.last(CDS).nonce;
    s.sotw(CDS, &nonce, "a");
    s.sent(&[]);
    s.change(|w| w.put(CDS, "b2"), &[]);
    s.sotw(CDS, &nonce, "*");
    s.sent(&["cds +a1 +b2"]);
}

#[test]
fn r13_unsubscribing_needs_no_answer() {
    let mut s = Script::ready(DELTA, small());
    s.delta(EDS, "a b", "");
    s.sent(&["eds +a1 +b1"]);
    s.ack(EDS);
    s.delta(EDS, "", "a nobody");
    s.sent(&[]);
    s.change(|w| w.put(EDS, "a2 b2"), &["eds +b2"]);
    s.ack(EDS);
    s.delta(EDS, "", "b");
    s.change(|w| w.put(EDS, "a3 b3"), &[]);
    s.delta(EDS, "b", "");
    s.sent(&["eds +b3"]);
}

#[test]
fn r15_what_does_not_exist_is_said_once_and_delivered_when_it_does() {
    for (t, made) in [(CDS, "cds +x1"), (LDS, "lds +x1"), (RDS, "rds +x1")] {
        let mut s = Script::ready(DELTA, World::new("", "", "", ""));
        s.delta(t, "x", "");
        s.sent(&[&format!("{} -x", t.short())]);
        s.ack(t);
        s.change(|_| {}, &[]);
        s.change(|w| w.put(t, "x1"), &[made]);
    }
}

#[test]
fn r15_an_unknown_assignment_is_empty_and_never_removed() {
    for mode in [DELTA, SOTW] {
        let mut s = Script::ready(mode, World::new("", "", "", ""));
        match mode {
            DELTA => s.delta(EDS, "x", ""),
            SOTW => s.sotw(EDS, "", "x"),
        }
        s.sent(&["eds +x0"]);
        s.ack(EDS);
        s.change(|_| {}, &[]);
        s.change(
            |w| {
                w.put(CDS, "x1");
                w.put(EDS, "x1");
            },
            &["eds +x1"],
        );
        s.ack(EDS);
        s.change(
            |w| {
                w.remove(CDS, "x");
                w.remove(EDS, "x");
            },
            &[],
        );
    }
}

#[test]
fn r16_the_first_wildcard_is_answered_even_with_nothing() {
    for t in [CDS, LDS] {
        let mut s = Script::ready(DELTA, World::new("", "", "", ""));
        s.delta(t, "", "");
        s.sent(&[t.short()]);
        s.ack(t);
        s.sent(&[]);
        let mut s = Script::ready(SOTW, World::new("", "", "", ""));
        s.sotw(t, "", "");
        s.sent(&[t.short()]);
    }
}

#[test]
fn r17_nothing_is_answered_before_there_is_a_snapshot() {
    for mode in [DELTA, SOTW] {
        let mut s = Script::new(mode, Service::Ads, small());
        for t in ResourceType::ALL {
            match mode {
                DELTA => s.delta(t, "", ""),
                SOTW => s.sotw(t, "", ""),
            }
        }
        s.wait(60.0);
        s.sent(&[]);
        s.publish();
        s.sent(&["cds +a1 +b1", "lds +l1", "nds"]);
    }
}

#[test]
fn r17_r18_whole_states_and_parts() {
    let mut s = Script::ready(SOTW, small());
    s.start("a b", "r");
    s.change(|w| w.put(CDS, "c1"), &["cds +a1 +b1 +c1"]);
    s.ack(CDS);
    s.change(|w| w.put(EDS, "b2"), &["eds +b2"]);
    s.ack(EDS);
    s.change(|w| w.remove(CDS, "c"), &["cds +a1 +b1"]);
    s.ack(CDS);
    s.change(|w| w.remove(RDS, "r"), &[]);
}

#[test]
fn r19_delta_sends_changes_and_removals() {
    let mut s = Script::ready(DELTA, small());
    s.start("a b", "r");
    s.change(
        |w| {
            w.put(CDS, "b2 c1");
            w.remove(CDS, "a");
            w.set(RDS, "");
            w.set(LDS, "");
        },
        &["cds +b2 +c1", "eds +b1", "lds -l"],
    );
    for t in [CDS, EDS] {
        s.ack(t);
        s.sent(&[]);
    }
    s.ack(LDS);
    s.sent(&["rds -r", "cds -a"]);
}

#[test]
fn r20_sotw_repeats_all_but_an_equal_whole_state() {
    let mut s = Script::ready(SOTW, small());
    s.start("a b", "r");
    let versions = ResourceType::OF_ENVOY.map(|t| s.last(t).version);
    s.cut();
    for (t, version) in ResourceType::OF_ENVOY.into_iter().zip(&versions) {
        s.sotw_with(t, "", None, version);
    }
    s.sent(&["eds +a1 +b1", "rds +r1"]);
    // By name, or with another version, everything is sent.
    s.cut();
    s.sotw_with(CDS, "", None, &versions[2]);
    s.sent(&["cds +a1 +b1"]);
    s.cut();
    let names = Names::Sotw {
        version: &versions[0],
        names: vec!["a", "b"],
    };
    s.request(CDS, "", None, names).unwrap();
    s.sent(&["cds +a1 +b1"]);
}

#[test]
fn r21_delta_sends_what_differs_from_what_is_reported() {
    let mut s = Script::ready(DELTA, small());
    s.start("a b", "r");
    s.cut();
    s.back(CDS, "");
    s.back(EDS, "a b");
    s.sent(&["cds"]);
    s.back(LDS, "");
    s.back(RDS, "r");
    s.sent(&["lds"]);

    s.world.put(CDS, "b2 c1");
    s.world.remove(CDS, "a");
    s.cut();
    s.back(CDS, "");
    s.back(EDS, "a b");
    s.back(LDS, "");
    s.back(RDS, "r");
    s.sent(&["cds +b2 +c1", "eds +b1", "lds"]);
    s.ack(CDS);
    s.ack(EDS);
    s.sent(&[]);
    s.ack(LDS);
    s.sent(&["cds -a"]);
}

#[test]
fn r21_what_is_reported_before_the_first_snapshot_counts() {
    let mut s = Script::ready(DELTA, small());
    s.start("a b", "r");
    let held = s.held.clone();
    let mut again = Script::new(DELTA, Service::Ads, small());
    again.held = held;
    again.back(CDS, "");
    again.back(EDS, "a b");
    again.sent(&[]);
    again.publish();
    again.sent(&["cds"]);
}

#[test]
fn r22_versions_that_no_server_gave_count_as_old() {
    let mut s = Script::ready(DELTA, small());
    s.held[CDS.index()] = [
        ("a".to_owned(), "junk".to_owned()),
        ("z".to_owned(), "1".to_owned()),
    ]
    .into();
    s.back(CDS, "");
    s.sent(&["cds +a1 +b1"]);
    // Listeners that use what is gone may not have been reported yet.
    s.ack(CDS);
    s.wait(4.9);
    s.sent(&[]);
    s.wait(0.2);
    s.sent(&["cds -z"]);
}

#[test]
fn r23_a_changed_cluster_makes_its_assignment_due() {
    for mode in [DELTA, SOTW] {
        let mut s = Script::ready(mode, small());
        s.start("a b", "r");
        let expected = if mode == DELTA {
            "cds +b2"
        } else {
            "cds +a1 +b2"
        };
        // Not after its acknowledgement, which Envoy withholds until then.
        s.change(|w| w.put(CDS, "b2"), &[expected, "eds +b1"]);
    }
}

#[test]
fn r24_no_endpoints_are_an_empty_assignment() {
    let mut s = Script::ready(DELTA, small());
    s.start("a b", "r");
    // The publisher serves a body without endpoints: it is a version as any other.
    s.change(|w| w.put(EDS, "a0"), &["eds +a0"]);
}

#[test]
fn r27_the_order_is_clusters_assignments_listeners_routes() {
    for mode in [DELTA, SOTW] {
        let mut s = Script::new(mode, Service::Ads, World::new("a1", "a1", "l1", "r1"));
        for t in [RDS, LDS, EDS, CDS] {
            let names = match t {
                RDS => "r",
                EDS => "a",
                _ => "",
            };
            match mode {
                DELTA => s.delta(t, names, ""),
                SOTW => s.sotw(t, "", names),
            }
        }
        s.publish();
        s.sent(&["cds +a1", "eds +a1", "lds +l1", "rds +r1"]);
    }
}

#[test]
fn limits_are_kept() {
    let settings = Settings {
        limits: Limits {
            names: 2,
            name_len: 3,
        },
        ..Settings::default()
    };
    let fanout = std::sync::Arc::new(Fanout::default());
    let mut s = Script::ready(DELTA, small());
    let check = |s: &mut Script, mode, service, t, names: Names<'_>| {
        s.stream = Stream::new(mode, service, fanout.clone(), settings);
        s.request(t, "", None, names).unwrap_err()
    };
    let delta = |subscribe| Names::Delta {
        subscribe,
        unsubscribe: vec![],
        initial: vec![],
    };
    let sotw = |names| Names::Sotw { version: "", names };
    for names in [delta(vec!["a", "b", "c"]), sotw(vec!["a", "b", "c"])] {
        let mode = match names {
            Names::Delta { .. } => DELTA,
            Names::Sotw { .. } => SOTW,
        };
        let error = check(&mut s, mode, Service::Ads, CDS, names);
        assert_eq!(error.code(), tonic::Code::ResourceExhausted);
        assert_eq!(
            error.to_string(),
            "cds request asks for 3 names, 2 are allowed on one stream"
        );
    }
    let error = check(&mut s, DELTA, Service::Ads, EDS, delta(vec!["abcd"]));
    assert_eq!(
        error.to_string(),
        "eds request has a name of 4 bytes, 3 are allowed"
    );
    let only = Service::Only(LDS);
    let error = check(&mut s, DELTA, only, CDS, delta(vec![]));
    assert_eq!(
        error,
        ProtocolError::WrongType {
            serves: LDS,
            asked: CDS
        }
    );
    let error = check(&mut s, DELTA, only, LDS, sotw(vec![]));
    assert_eq!(error, ProtocolError::WrongVariant);
    // One by one.
    s.stream = Stream::new(DELTA, Service::Ads, fanout.clone(), settings);
    s.delta(EDS, "a", "");
    s.delta(EDS, "b", "");
    s.delta(EDS, "", "a");
    s.delta(EDS, "c", "");
    assert!(s.request(EDS, "", None, delta(vec!["d"])).is_err());
}

#[test]
fn what_is_asked_for_is_told_when_it_changes() {
    let mut s = Script::ready(DELTA, small());
    assert!(s.stream.subscriptions().is_none());
    s.delta(CDS, "", "");
    s.delta(EDS, "b a", "");
    let [cds, eds, lds, ..] = s.stream.subscriptions().unwrap();
    assert!(cds.is_wildcard());
    assert!(matches!(lds, Interest::None));
    let Interest::Names(names) = eds else {
        unreachable!("names were asked for")
    };
    assert!(std::sync::Arc::ptr_eq(
        &names,
        &s.shared.names(vec!["a", "b"])
    ));
    s.delta(EDS, "a", "");
    assert!(s.stream.subscriptions().is_none());
}
