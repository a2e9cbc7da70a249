//! Make before break, and the cases in which it could lock up or let something fall through.

use std::time::Duration;

use super::script::{CDS, EDS, LDS, RDS, Script};
use super::world::World;
use crate::protocol::Mode;

const DELTA: Mode = Mode::Delta;
const SOTW: Mode = Mode::Sotw;

fn small() -> World {
    World::new("a1", "a1", "l1//r f1", "r1/a")
}

fn started(mode: Mode) -> Script {
    let mut s = Script::ready(mode, small());
    s.start("a", "r");
    s
}

/// A cluster and all that uses it appear.
fn more(w: &mut World) {
    w.put(CDS, "b1");
    w.put(EDS, "b1");
    w.put(LDS, "m1/b f2");
    w.put(RDS, "r2/a,b");
}

#[test]
fn what_uses_new_clusters_waits_for_both_answers() {
    let mut s = started(DELTA);
    s.change(more, &["cds +b1", "lds +f2"]);
    s.delta(EDS, "b", "");
    s.sent(&["eds +b1"]);
    s.ack(LDS);
    s.ack(EDS);
    s.sent(&[]);
    s.ack(CDS);
    s.sent(&["lds +m1", "rds +r2"]);
    assert_eq!(s.stream.report().gate_timeouts, 0);

    // The other way round.
    let mut s = started(DELTA);
    s.change(more, &["cds +b1", "lds +f2"]);
    s.ack(CDS);
    s.ack(LDS);
    s.sent(&[]);
    s.delta(EDS, "b", "");
    s.sent(&["eds +b1"]);
    s.ack(EDS);
    s.sent(&["lds +m1", "rds +r2"]);
}

#[test]
fn a_whole_state_keeps_the_old_version_of_what_waits() {
    let mut s = started(SOTW);
    s.change(
        |w| {
            w.put(CDS, "b1");
            w.put(LDS, "l2/b m1/b f2");
            w.remove(LDS, "x");
        },
        &["cds +a1 +b1", "lds +f2 +l1"],
    );
}

#[test]
fn a_first_whole_state_is_not_sent_in_part() {
    let mut s = Script::ready(SOTW, small());
    s.world.put(LDS, "m1/a");
    s.publish();
    s.sotw(CDS, "", "");
    s.sotw(LDS, "", "");
    s.sent(&["cds +a1"]);
    s.ack(CDS);
    s.sent(&["lds +f1 +l1 +m1"]);
}

#[test]
fn a_cluster_that_never_warms_holds_up_its_users_only_and_not_for_ever() {
    for mode in [DELTA, SOTW] {
        let mut s = started(mode);
        let cds = if mode == DELTA {
            "cds +b1"
        } else {
            "cds +a1 +b1"
        };
        let lds = if mode == DELTA {
            "lds +f2"
        } else {
            "lds +f2 +l1"
        };
        s.change(more, &[cds, lds]);
        s.ack(LDS);
        s.wait(3.0);
        // Something else does not start the time again.
        let eds = s.take();
        assert!(eds.is_empty());
        s.change(|w| w.put(EDS, "a2"), &["eds +a2"]);
        s.ack(EDS);
        assert_eq!(s.stream.deadline(), Some(s.now + Duration::from_secs(2)));
        s.wait(1.9);
        s.sent(&[]);
        s.wait(0.2);
        let lds = if mode == DELTA {
            "lds +m1"
        } else {
            "lds +f2 +l1 +m1"
        };
        s.sent(&[lds, "rds +r2"]);
        assert_eq!(s.stream.report().gate_timeouts, 1);
        // The next pass is not held up by the same cluster.
        s.ack(LDS);
        s.ack(RDS);
        s.sent(&[]);
        s.change(|w| w.put(RDS, "r3/a,b"), &["rds +r3"]);
        // A second response is sent though the first has not been answered.
        s.ack(RDS);
        s.wait(0.1);
        let cds = if mode == DELTA {
            "cds +c1"
        } else {
            "cds +a1 +b1 +c1"
        };
        s.change(|w| w.put(CDS, "c1"), &[cds]);
        s.wait(0.1);
        s.change(|w| w.put(CDS, "c2"), &[]);
        s.wait(5.0);
        assert_eq!(s.take().len(), 1);
    }
}

#[test]
fn what_is_not_asked_for_is_not_waited_for() {
    // No clusters.
    let mut s = Script::ready(DELTA, small());
    s.delta(LDS, "", "");
    s.delta(RDS, "r", "");
    s.sent(&["lds +f1 +l1", "rds +r1"]);
    // No load assignments.
    let mut s = Script::ready(DELTA, small());
    s.delta(CDS, "", "");
    s.delta(RDS, "r", "");
    s.sent(&["cds +a1"]);
    s.ack(CDS);
    s.sent(&["rds +r1"]);
    s.ack(RDS);
    s.sent(&[]);
    // Nobody uses it.
    s.change(
        |w| {
            w.put(CDS, "b1");
            w.remove(CDS, "a");
            w.put(RDS, "r2");
        },
        &["cds +b1", "rds +r2"],
    );
    s.ack(CDS);
    s.sent(&[]);
    s.ack(RDS);
    s.sent(&["cds -a"]);
}

#[test]
fn a_stream_lost_between_a_cluster_and_its_assignment() {
    let mut s = started(DELTA);
    s.world.put(CDS, "a2");
    s.publish();
    let said = s.take();
    assert_eq!(said.len(), 2);
    // The client has received the cluster only.
    s.held[EDS.index()] = [("a".into(), "0000000000000001".into())].into();
    let before = s.last(EDS);
    s.cut();
    s.back(CDS, "");
    s.back(EDS, "a");
    s.sent(&["cds", "eds +a1"]);
    assert_eq!(s.last(EDS).resources, before.resources);
}

#[test]
fn a_cluster_that_comes_back_to_a_version_makes_its_assignment_due() {
    let mut s = started(DELTA);
    let old = s.held[EDS.index()].clone();
    s.world.put(CDS, "a2");
    s.publish();
    s.take();
    // The client has received the cluster, and not the assignment.
    s.held[EDS.index()] = old;
    s.world.put(CDS, "a1");
    // In each order of the requests.
    s.cut();
    s.back(CDS, "");
    s.back(EDS, "a");
    s.sent(&["cds +a1", "eds +a1"]);
    s.cut();
    s.held[CDS.index()].insert("a".into(), "0000000000000002".into());
    s.back(CDS, "");
    s.sent(&["cds +a1"]);
    s.back(EDS, "a");
    s.sent(&["eds +a1"]);
    // A client that has lost its clusters.
    s.cut();
    s.held[CDS.index()].clear();
    s.back(CDS, "");
    s.sent(&["cds +a1"]);
    s.back(EDS, "a");
    s.sent(&["eds +a1"]);
}

#[test]
fn a_client_that_does_not_ask_for_clusters_yet_gets_its_assignments_again() {
    // Envoy does not ask for clusters while one of them warms, and it warms until its assignment comes.
    let mut s = started(DELTA);
    s.cut();
    s.back(EDS, "a");
    s.sent(&["eds +a1"]);
    s.ack(EDS);
    s.back(CDS, "");
    s.sent(&["cds"]);
}

#[test]
fn a_cluster_that_comes_and_goes_while_assignments_are_stuck() {
    let mut s = started(DELTA);
    s.change(|w| w.put(EDS, "a2"), &["eds +a2"]);
    s.change(|w| w.put(CDS, "a2"), &["cds +a2"]);
    s.ack(CDS);
    s.sent(&[]);
    s.change(|w| w.put(CDS, "a1"), &["cds +a1"]);
    s.ack(CDS);
    s.ack(EDS);
    s.sent(&["eds +a2"]);
}

#[test]
fn removals_wait_for_the_answers_to_what_replaces_them() {
    let mut s = started(DELTA);
    let replace = |w: &mut World| {
        w.put(CDS, "b1");
        w.remove(CDS, "a");
        w.put(EDS, "b1");
        w.put(LDS, "l2//q");
        w.set(RDS, "q1/b");
    };
    s.change(replace, &["cds +b1", "lds +l2"]);
    s.delta(EDS, "b", "");
    s.sent(&["eds +b1"]);
    s.delta(RDS, "q", "");
    s.ack(EDS);
    s.ack(CDS);
    s.sent(&["rds +q1"]);
    // The leaving cluster keeps its endpoints.
    s.change(|w| w.put(EDS, "a2"), &["eds +a2"]);
    s.ack(EDS);
    s.ack(RDS);
    s.sent(&[]);
    s.ack(LDS);
    s.sent(&["rds -r", "cds -a"]);
    assert_eq!(s.stream.report().removal_timeouts, 0);
    s.ack(CDS);
    s.ack(RDS);
    s.sent(&[]);
    assert_eq!(s.stream.settled().unwrap().generation, 3);
}

#[test]
fn removals_do_not_wait_for_ever() {
    let mut s = started(DELTA);
    let replace = |w: &mut World| {
        w.remove(CDS, "a");
        w.put(LDS, "l2//q");
        w.set(RDS, "q1");
    };
    s.change(replace, &["lds +l2"]);
    s.ack(LDS);
    // The route that the listener names is not asked for.
    s.sent(&[]);
    s.wait(4.9);
    s.sent(&[]);
    s.wait(0.2);
    s.sent(&["rds -r", "cds -a"]);
    assert_eq!(s.stream.report().removal_timeouts, 1);
}

#[test]
fn a_renamed_listener_is_replaced_in_one_response() {
    for (mode, first, last) in [
        (DELTA, "lds +f2", "lds +k1 -l"),
        (SOTW, "lds +f2 +l1", "lds +f2 +k1"),
    ] {
        let mut s = started(mode);
        let rename = |w: &mut World| {
            w.put(CDS, "b1");
            w.put(LDS, "k1/b/ f2");
            w.remove(LDS, "l");
        };
        let cds = if mode == DELTA {
            "cds +b1"
        } else {
            "cds +a1 +b1"
        };
        s.change(rename, &[cds, first]);
        s.ack(LDS);
        s.ack(CDS);
        s.sent(&[last]);
    }
}

#[test]
fn one_snapshot_at_a_time_and_then_the_newest() {
    let mut s = started(DELTA);
    s.change(more, &["cds +b1", "lds +f2"]);
    s.ack(LDS);
    for i in 2..50 {
        s.change(
            |w| {
                w.put(CDS, &format!("a{i}"));
                w.put(LDS, &format!("f{i}"));
            },
            &[],
        );
    }
    // Endpoints join at any time.
    s.change(|w| w.put(EDS, "a7"), &["eds +a7"]);
    s.ack(EDS);
    s.delta(EDS, "b", "");
    s.sent(&["eds +b1"]);
    s.ack(EDS);
    s.ack(CDS);
    s.sent(&["lds +m1", "rds +r2", "cds +a49", "eds +a7"]);
    s.ack(LDS);
    s.sent(&["lds +f49"]);
}

#[test]
fn the_second_response_is_sent_when_the_first_is_overdue() {
    let mut s = started(DELTA);
    s.change(|w| w.put(RDS, "r2/a"), &["rds +r2"]);
    let first = s.last(RDS);
    s.change(|w| w.put(RDS, "r3/a"), &[]);
    assert_eq!(s.stream.deadline(), Some(s.now + Duration::from_secs(5)));
    s.wait(5.0);
    s.sent(&["rds +r3"]);
    assert_eq!(s.stream.report().types[RDS.index()].unacknowledged, 2);
    // Its answers mean what they answer.
    s.delta_with(RDS, &first.nonce, Some("route_config r: bad"), "", "");
    s.sent(&[]);
    s.ack(RDS);
    s.sent(&[]);
    assert_eq!(s.stream.report().types[RDS.index()].refused.len(), 1);
    assert_eq!(s.stream.report().types[RDS.index()].unacknowledged, 0);
}

#[test]
fn a_client_that_answers_nothing_is_still_served() {
    let mut s = started(DELTA);
    for i in 2..10 {
        s.world.put(CDS, &format!("a{i}"));
        s.publish();
        let said = s.take();
        assert!(said.iter().any(|m| m.resource_type == CDS), "{i}: {said:?}");
        s.wait(5.1);
        s.take();
    }
}

#[test]
fn a_settled_snapshot_is_told_once() {
    let mut s = started(DELTA);
    let settled = s.stream.settled().unwrap();
    assert_eq!(settled.generation, 1);
    assert!(settled.responses >= 1);
    assert_eq!(s.stream.settled(), None);
    let since = tokio::time::Instant::now();
    s.change(|w| w.put(EDS, "a2"), &["eds +a2"]);
    s.change(|w| w.put(EDS, "a3"), &[]);
    assert_eq!(s.stream.settled(), None);
    s.ack(EDS);
    s.sent(&["eds +a3"]);
    assert_eq!(s.stream.settled(), None);
    s.ack(EDS);
    s.sent(&[]);
    let settled = s.stream.settled().unwrap();
    assert_eq!((settled.generation, settled.responses), (3, 2));
    // Of the earliest change that was settled by it.
    assert!(settled.since >= since && settled.since <= tokio::time::Instant::now());
    s.change(|_| {}, &[]);
    assert_eq!(s.stream.settled().unwrap().responses, 0);
}
