//! The scenarios of the CNCF's xDS conformance tests, in their numbering.

use super::script::{CDS, EDS, LDS, RDS, Script};
use super::world::World;
use crate::protocol::{Mode, Service};
use crate::resource::ResourceType;

fn all() -> World {
    let mut world = World::new("a1 b1 c1", "a1 b1 c1", "a1 b1 c1", "a1 b1 c1");
    world.set(ResourceType::NameTable, "a1 b1 c1");
    world
}

/// For both kinds of service.
fn each(mode: Mode, types: &[ResourceType], test: impl Fn(&mut Script, ResourceType, &str)) {
    for t in types {
        for service in [Service::Ads, Service::Only(*t)] {
            let mut script = Script::new(mode, service, all());
            script.publish();
            test(&mut script, *t, t.short());
        }
    }
}

#[test]
fn s01_s03_sotw_wildcard() {
    each(Mode::Sotw, &[CDS, LDS], |s, t, n| {
        s.sotw(t, "", "");
        s.sent(&[&format!("{n} +a1 +b1 +c1")]);
        s.ack(t);
        s.change(|w| w.put(t, "b2"), &[&format!("{n} +a1 +b2 +c1")]);
        s.ack(t);
        s.change(|w| w.put(t, "d1"), &[&format!("{n} +a1 +b2 +c1 +d1")]);
        s.ack(t);
        s.sent(&[]);
    });
}

#[test]
fn s04_s08_sotw_subset() {
    each(Mode::Sotw, &[CDS, LDS], |s, t, n| {
        s.sotw(t, "", "a b d");
        s.sent(&[&format!("{n} +a1 +b1")]);
        s.ack(t);
        s.change(|w| w.put(t, "b2 c2"), &[&format!("{n} +a1 +b2")]);
        s.ack(t);
        s.change(|w| w.put(t, "d1"), &[&format!("{n} +a1 +b2 +d1")]);
    });
    each(Mode::Sotw, &[RDS], |s, t, n| {
        s.sotw(t, "", "a b d");
        s.sent(&[&format!("{n} +a1 +b1")]);
        s.ack(t);
        s.change(|w| w.put(t, "b2 c2"), &[&format!("{n} +b2")]);
        s.ack(t);
        s.change(|w| w.put(t, "d1"), &[&format!("{n} +d1")]);
    });
    each(Mode::Sotw, &[EDS], |s, t, _| {
        s.sotw(t, "", "a b d");
        s.sent(&["eds +a1 +b1 +d0"]);
        s.ack(t);
        s.change(|w| w.put(t, "b2 c2"), &["eds +b2"]);
        s.ack(t);
        s.world.put(CDS, "d1");
        s.change(|w| w.put(t, "d1"), &["eds +d1"]);
    });
}

#[test]
fn s09_two_types_on_one_stream() {
    for (first, second) in [(CDS, LDS), (RDS, EDS)] {
        let mut s = Script::ready(Mode::Sotw, all());
        s.sotw(first, "", "a");
        s.sent(&[&format!("{} +a1", first.short())]);
        s.ack(first);
        s.sotw(second, "", "b");
        s.sent(&[&format!("{} +b1", second.short())]);
        // The harness acknowledges the second with the first one's type and names.
        let nonce = s.last(second).nonce;
        s.sotw(first, &nonce, "a");
        s.sent(&[]);
        s.change(|w| w.put(first, "a2"), &[&format!("{} +a2", first.short())]);
    }
}

#[test]
fn s10_s11_unsubscribe_from_some() {
    each(Mode::Sotw, &ResourceType::ALL, |s, t, n| {
        s.sotw(t, "", "a b");
        s.sent(&[&format!("{n} +a1 +b1")]);
        let nonce = s.last(t).nonce;
        s.sotw(t, &nonce, "b");
        s.sent(&[]);
        s.change(|w| w.put(t, "a2 b2"), &[&format!("{n} +b2")]);
    });
}

#[test]
fn s12_unsubscribe_from_all() {
    each(Mode::Sotw, &ResourceType::ALL, |s, t, n| {
        s.sotw(t, "", "a b");
        s.sent(&[&format!("{n} +a1 +b1")]);
        let nonce = s.last(t).nonce;
        // One empty name.
        s.sotw(t, &nonce, "\"\"");
        s.sent(&[]);
        s.change(|w| w.put(t, "a2 b2"), &[]);
    });
}

#[test]
fn s13_s14_delta_one_after_another() {
    each(Mode::Delta, &ResourceType::ALL, |s, t, n| {
        for name in ["a", "b", "c"] {
            s.delta(t, name, "");
            s.sent(&[&format!("{n} +{name}1")]);
            s.ack(t);
        }
        let before = s.last(t);
        s.change(|w| w.put(t, "b2"), &[&format!("{n} +b2")]);
        let after = s.last(t);
        assert_ne!(before.nonce, after.nonce);
        assert_ne!(before.resources[0].1, after.resources[0].1);
    });
}

#[test]
fn s15_s17_delta_created_removed_created_unsubscribed() {
    each(Mode::Delta, &[CDS, LDS, RDS], |s, t, n| {
        s.delta(t, "a d", "");
        s.sent(&[&format!("{n} +a1 -d")]);
        s.ack(t);
        s.change(|w| w.put(t, "d1"), &[&format!("{n} +d1")]);
        s.ack(t);
        s.change(|w| w.remove(t, "d"), &[&format!("{n} -d")]);
        s.ack(t);
        s.change(|w| w.put(t, "d1"), &[&format!("{n} +d1")]);
        s.ack(t);
        s.delta(t, "", "a");
        s.change(|w| w.put(t, "a2 d2"), &[&format!("{n} +d2")]);
        s.ack(t);
        s.delta(t, "", "d");
        s.change(|w| w.put(t, "a3 d3"), &[]);
    });
}

#[test]
fn s18_two_types_on_one_delta_stream() {
    for (first, second) in [(CDS, LDS), (LDS, CDS), (RDS, EDS), (EDS, RDS)] {
        let mut s = Script::ready(Mode::Delta, all());
        for t in [first, second] {
            s.delta(t, "a", "");
            s.sent(&[&format!("{} +a1", t.short())]);
            s.ack(t);
            s.sent(&[]);
        }
    }
}
