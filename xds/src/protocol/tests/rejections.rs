//! What becomes of what a client rejects, and of its neighbours.

use std::sync::Arc;

use super::script::{CDS, EDS, LDS, RDS, Script};
use super::world::World;
use crate::protocol::Mode;

const DELTA: Mode = Mode::Delta;
const SOTW: Mode = Mode::Sotw;

/// Refused: name and message.
fn refused(s: &Script) -> Vec<(String, Arc<str>)> {
    let types = s.stream.report().types;
    let all = types.iter().flat_map(|t| &t.refused);
    all.map(|r| (r.name.to_string(), r.message.clone()))
        .collect()
}

#[test]
fn the_named_is_refused_and_its_neighbours_are_sent_once_more() {
    let mut s = Script::ready(DELTA, World::new("a1 b1 c1", "", "", ""));
    s.start("", "");
    s.change(|w| w.put(CDS, "a2 b2 d1"), &["cds +a2 +b2 +d1"]);
    let why = "Error adding/updating cluster(s) b: unknown field";
    s.nack(CDS, why);
    s.sent(&["cds +a2 +d1"]);
    s.ack(CDS);
    s.sent(&[]);
    assert_eq!(refused(&s), [("b".to_owned(), why.into())]);
    // Not in this version, whatever else changes, even by way of another.
    s.change(|w| w.put(CDS, "a3"), &["cds +a3"]);
    s.ack(CDS);
    s.change(|w| w.put(CDS, "b3"), &["cds +b3"]);
    s.ack(CDS);
    s.change(|w| w.put(CDS, "b2"), &[]);
    s.change(|w| w.put(CDS, "b1"), &["cds +b1"]);
    s.ack(CDS);
    let report = &s.stream.report().types[CDS.index()];
    assert_eq!(report.nacks, 1);
    assert_eq!(report.error.as_ref().map(|e| &*e.0), Some(why));
    assert!(!report.pending);
}

#[test]
fn a_whole_state_falls_back_to_what_was_accepted() {
    let mut s = Script::ready(SOTW, World::new("a1 b1", "", "", ""));
    s.start("", "");
    s.change(|w| w.put(CDS, "a2 b2 c1 d1"), &["cds +a2 +b2 +c1 +d1"]);
    s.nack(CDS, "cluster(s) b: no, c: no");
    s.sent(&["cds +a2 +b1 +d1"]);
    s.ack(CDS);
    s.sent(&[]);
    s.change(|w| w.remove(CDS, "d"), &["cds +a2 +b1"]);
}

#[test]
fn a_single_resource_is_the_culprit_whatever_the_message() {
    for mode in [DELTA, SOTW] {
        let mut s = Script::ready(mode, World::new("", "", "", "r1"));
        s.start("", "r");
        s.change(|w| w.put(RDS, "r2"), &["rds +r2"]);
        s.nack(RDS, "something is wrong");
        s.sent(&[]);
        assert_eq!(refused(&s).len(), 1);
        s.change(|w| w.put(RDS, "r3"), &["rds +r3"]);
    }
}

#[test]
fn halves_are_tried_where_nobody_is_named() {
    let mut s = Script::ready(DELTA, World::new("", "", "", "a1 b1 c1 d1 e1"));
    s.start("", "a b c d e");
    s.change(|w| w.put(RDS, "a2 b2 c2 d2"), &["rds +a2 +b2 +c2 +d2"]);
    s.nack(RDS, "one of them is wrong");
    s.sent(&["rds +a2 +b2"]);
    // Others are not held up.
    s.change(|w| w.put(RDS, "e2"), &[]);
    s.ack(RDS);
    s.sent(&["rds +e2"]);
    s.ack(RDS);
    s.sent(&["rds +c2 +d2"]);
    s.nack(RDS, "again");
    s.sent(&["rds +c2"]);
    s.nack(RDS, "and again");
    s.sent(&["rds +d2"]);
    s.ack(RDS);
    s.sent(&[]);
    assert_eq!(refused(&s), [("c".to_owned(), "and again".into())]);
}

#[test]
fn halves_of_a_whole_state_come_with_the_rest_as_it_was() {
    let mut s = Script::ready(SOTW, World::new("", "", "a1 b1 c1", ""));
    s.start("", "");
    s.change(|w| w.put(LDS, "a2 b2 d1"), &["lds +a2 +b2 +c1 +d1"]);
    s.nack(LDS, "no");
    s.sent(&["lds +a2 +b2 +c1"]);
    s.nack(LDS, "no");
    s.sent(&["lds +a2 +b1 +c1"]);
    s.ack(LDS);
    s.sent(&["lds +a2 +b2 +c1"]);
    s.nack(LDS, "no");
    s.sent(&["lds +a2 +b1 +c1 +d1"]);
    s.ack(LDS);
    s.sent(&[]);
    assert_eq!(refused(&s).len(), 1);
}

#[test]
fn trials_are_limited_and_do_not_hold_up_passes() {
    let names: Vec<_> = (0..64)
        .map(|i| format!("{}{}", char::from(b'a' + i / 26), char::from(b'a' + i % 26)))
        .collect();
    let all = names.join(" ");
    let world: Vec<_> = names.iter().map(|n| format!("{n}1")).collect();
    let mut s = Script::ready(DELTA, World::new("", "", "", &world.join(" ")));
    s.delta(RDS, &all, "");
    // Everything is rejected.
    let mut rejected = 0;
    while let Some(said) = s.take().pop() {
        assert_eq!(said.resource_type, RDS);
        rejected += 1;
        s.nack(RDS, "no");
    }
    assert_eq!(rejected, 33);
    assert!(s.stream.deadline().is_some());
    s.change(|w| w.put(RDS, "zz1"), &[]);
    s.delta(RDS, "zz", "");
    s.sent(&["rds +zz1"]);
    s.ack(RDS);
    s.wait(60.0);
    let said = s.take();
    assert_eq!(said.len(), 1);
    for _ in 0..10 {
        while !s.take().is_empty() || s.last(RDS).nonce == said[0].nonce && said.len() > 1 {
            s.nack(RDS, "no");
        }
        s.nack(RDS, "no");
        s.wait(60.0);
    }
    assert_eq!(refused(&s).len(), 64);
}

#[test]
fn a_removal_cannot_be_refused() {
    let mut s = Script::ready(DELTA, World::new("", "", "l1 m1", ""));
    s.start("", "");
    s.change(|w| w.remove(LDS, "m"), &["lds -m"]);
    s.nack(LDS, "no");
    s.sent(&[]);
    s.change(|w| w.put(LDS, "l2"), &["lds +l2"]);
}

#[test]
fn what_a_refused_listener_still_uses_stays() {
    let world = World::new("a1 b1", "a1 b1", "l1/a/r m1/b", "r1/b");
    let mut s = Script::ready(DELTA, world);
    s.start("a b", "r");
    let change = |w: &mut World| {
        w.set(CDS, "c1");
        w.set(EDS, "c1");
        w.set(LDS, "l2/c m2/c");
        w.set(RDS, "");
    };
    s.change(change, &["cds +c1"]);
    s.delta(EDS, "c", "");
    s.sent(&["eds +c1"]);
    s.ack(EDS);
    s.ack(CDS);
    s.sent(&["lds +l2 +m2"]);
    s.nack(LDS, "listener(s) l: no");
    s.sent(&["lds +m2"]);
    s.ack(LDS);
    // `l1` uses `a` and `r`, and `r` uses `b`.
    s.sent(&[]);
    // It is replaced in the end.
    s.change(|w| w.put(LDS, "l3/c"), &["lds +l3"]);
    s.ack(LDS);
    s.sent(&["rds -r", "cds -a -b"]);
}

#[test]
fn users_of_a_refused_cluster_do_not_wait_for_it() {
    let mut s = Script::ready(DELTA, World::new("a1", "a1", "", "r1/a"));
    s.start("a", "r");
    let change = |w: &mut World| {
        w.put(CDS, "b1 c1");
        w.put(RDS, "r2/a,b");
    };
    s.change(change, &["cds +b1 +c1"]);
    s.nack(CDS, "cluster(s) b: no");
    s.sent(&["cds +c1", "rds +r2"]);
}

#[test]
fn what_is_sent_again_makes_assignments_due_again() {
    let mut s = Script::ready(DELTA, World::new("a1 b1", "a1 b1", "", ""));
    s.start("a b", "");
    s.change(|w| w.put(CDS, "a2 b2"), &["cds +a2 +b2", "eds +a1 +b1"]);
    s.ack(EDS);
    s.nack(CDS, "cluster(s) b: no");
    s.sent(&["cds +a2", "eds +a1"]);
    s.ack(EDS);
    s.ack(CDS);
    s.sent(&[]);
    s.change(|w| w.put(EDS, "b2"), &["eds +b2"]);
}

#[test]
fn what_a_whole_state_takes_back_makes_assignments_due() {
    let mut s = Script::ready(SOTW, World::new("b1", "b1", "", ""));
    s.start("b", "");
    s.change(|w| w.put(CDS, "a9 b2"), &["cds +a9 +b2", "eds +b1"]);
    s.ack(EDS);
    // The client has taken `b2`, and is taken back to `b1`.
    s.nack(CDS, "no");
    s.sent(&["cds +a9 +b1", "eds +b1"]);
    s.ack(EDS);
    s.nack(CDS, "no");
    s.sent(&["cds +b2", "eds +b1"]);
}

#[test]
fn what_a_second_whole_state_repeats_is_its_own() {
    // Before the first is answered, the second comes. The client could not read the first, and has all of `b2` from the second.
    let start = || {
        let mut s = Script::ready(SOTW, World::new("b1", "b1", "", ""));
        s.start("b", "");
        s.change(|w| w.put(CDS, "a9 b2"), &["cds +a9 +b2", "eds +b1"]);
        s.ack(EDS);
        s.wait(5.0);
        let first = s.last(CDS);
        s.change(|w| w.put(CDS, "a1"), &["cds +a1 +b2", "eds +b1"]);
        s.ack(EDS);
        (s, first.nonce)
    };
    // It says so.
    let (mut s, first) = start();
    s.sotw_with(CDS, &first, Some("no"), "");
    s.sent(&[]);
    s.ack(CDS);
    s.sent(&[]);
    assert_eq!(refused(&s), []);
    // It does not, as it waits for the assignment before it answers.
    let (mut s, _) = start();
    s.ack(CDS);
    s.sent(&[]);
    // What it accepted in the first is not suspected in the second.
    let (mut s, first) = start();
    s.sotw_with(CDS, &first, None, "");
    s.sent(&[]);
    s.nack(CDS, "no");
    s.sent(&[]);
    assert_eq!(refused(&s), [("a".to_owned(), "no".into())]);
}
