//! Names: told after what listens on their addresses, to whoever asks, and never in the way of anything else.

use super::script::{CDS, EDS, LDS, NDS, RDS, Script};
use super::world::World;
use crate::protocol::Mode;

fn world() -> World {
    let mut world = World::new("a1", "a1", "l1/a/r", "r1/a/");
    world.set(NDS, "x1");
    world
}

fn asks(s: &mut Script, mode: Mode) {
    match mode {
        Mode::Delta => s.delta(NDS, "", ""),
        Mode::Sotw => s.sotw(NDS, "", ""),
    }
}

const MODES: [Mode; 2] = [Mode::Delta, Mode::Sotw];

#[test]
fn who_asks_for_nothing_else_gets_names() {
    for mode in MODES {
        let mut s = Script::ready(mode, world());
        asks(&mut s, mode);
        s.sent(&["nds +x1"]);
        s.ack(NDS);
        s.sent(&[]);
        s.change(|w| w.put(LDS, "l2/a/r"), &[]);
        s.change(|w| w.put(NDS, "x2"), &["nds +x2"]);
        s.ack(NDS);
        // Who comes back with what there is gets nothing.
        s.cut();
        match mode {
            Mode::Delta => s.back(NDS, ""),
            Mode::Sotw => {
                let version = s.last(NDS).version;
                s.sotw_with(NDS, "", None, &version);
            }
        }
        // In delta, everything is asked for, and the answer is that nothing differs.
        if mode == Mode::Delta {
            s.sent(&["nds"]);
            s.ack(NDS);
        }
        s.sent(&[]);
        s.change(|w| w.put(NDS, "x3"), &["nds +x3"]);
    }
}

#[test]
fn who_does_not_ask_gets_none() {
    for mode in MODES {
        let mut s = Script::ready(mode, world());
        s.start("a", "r");
        s.change(|w| w.put(NDS, "x2"), &[]);
    }
}

#[test]
fn names_come_after_what_listens_on_their_addresses() {
    let mut s = Script::ready(Mode::Delta, world());
    asks(&mut s, Mode::Delta);
    s.settle();
    s.start("a", "r");
    s.change(
        |w| {
            w.put(CDS, "b1");
            w.put(EDS, "b1");
            w.put(LDS, "m1/b/");
            w.put(NDS, "x2");
        },
        &["cds +b1"],
    );
    // The listener waits until its cluster is ready, and the name for the listener.
    s.delta(EDS, "b", "");
    s.sent(&["eds +b1"]);
    s.ack(EDS);
    s.sent(&[]);
    s.ack(CDS);
    s.sent(&["lds +m1", "nds +x2"]);
}

#[test]
fn names_wait_no_longer_than_listeners() {
    let mut s = Script::ready(Mode::Delta, world());
    asks(&mut s, Mode::Delta);
    s.settle();
    s.start("a", "r");
    s.change(
        |w| {
            w.put(CDS, "b1");
            w.put(LDS, "m1/b/");
            w.put(NDS, "x2");
        },
        &["cds +b1"],
    );
    s.wait(5.0);
    s.sent(&["lds +m1", "nds +x2"]);
}

#[test]
fn who_never_answers_about_names_holds_nothing_up() {
    let mut s = Script::ready(Mode::Delta, world());
    asks(&mut s, Mode::Delta);
    s.sent(&["nds +x1"]);
    s.start("a", "r");
    assert!(s.stream.settled().is_some());
    // Two changes later, with a removal: everything but names is where it is to be.
    s.change(|w| w.put(LDS, "l2/a/r"), &["lds +l2"]);
    s.change(|w| w.put(NDS, "x2"), &[]);
    s.ack(LDS);
    s.change(
        |w| {
            w.set(LDS, "l3//r");
            w.set(RDS, "r2");
            w.remove(CDS, "a");
            w.remove(EDS, "a");
            w.put(NDS, "x3");
        },
        &["lds +l3", "rds +r2"],
    );
    s.ack(LDS);
    s.ack(RDS);
    s.sent(&["cds -a"]);
    s.ack(CDS);
    s.sent(&[]);
    let report = s.stream.report();
    assert_eq!(report.target, report.newest);
    assert!(s.stream.settled().is_some());
    // Once it is overdue, the newest is sent all the same.
    s.wait(60.0);
    s.sent(&["nds +x3"]);
}

#[test]
fn names_that_are_refused_are_not_sent_again() {
    for mode in MODES {
        let mut s = Script::ready(mode, world());
        asks(&mut s, mode);
        s.sent(&["nds +x1"]);
        s.nack(NDS, "no");
        s.sent(&[]);
        s.start("a", "r");
        s.change(|w| w.put(NDS, "x2"), &["nds +x2"]);
    }
}
