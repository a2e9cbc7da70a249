//! What many streams cost: work is counted, and done once.

use std::sync::Arc;

use tokio::time::Instant;

use super::script::{CDS, EDS, LDS, RDS, Script};
use super::world::World;
use crate::fanout::{Change, Fanout, Layer, Set};
use crate::protocol::{Mode, Service, Settings, Stream};
use crate::resource::ResourceType;
use crate::snapshot::{Assignments, Snapshot};

fn world() -> World {
    let all = |suffix: &str| {
        (0..100)
            .map(|i| format!("{}1{suffix}", name(i)))
            .collect::<Vec<_>>()
            .join(" ")
    };
    World::new(&all(""), &all(""), &all("/aa"), "r1/aa")
}

fn name(i: u8) -> String {
    format!("{}{}", char::from(b'a' + i / 26), char::from(b'a' + i % 26))
}

fn many(mode: Mode, snapshot: &Arc<Snapshot>) -> (Arc<Fanout>, Vec<Script>) {
    let shared = Arc::new(Fanout::default());
    let names: Vec<_> = (0..100).map(name).collect();
    let scripts = (0..50).map(|_| {
        let mut script = Script::new(mode, Service::Ads, World::new("", "", "", ""));
        script.stream = Stream::new(mode, Service::Ads, shared.clone(), Settings::default());
        script.stream.publish(snapshot.clone(), Instant::now());
        script.start(&names.join(" "), "r");
        script
    });
    let scripts = scripts.collect();
    (shared, scripts)
}

fn publish(scripts: &mut [Script], snapshot: &Arc<Snapshot>) -> usize {
    let mut sent = 0;
    for script in scripts {
        script.stream.publish(snapshot.clone(), script.now);
        let said = script.take();
        sent += said.len();
        for said in said {
            script.ack(said.resource_type);
        }
        script.settle();
    }
    sent
}

#[test]
fn what_many_are_sent_is_encoded_once() {
    for mode in [Mode::Delta, Mode::Sotw] {
        let mut world = world();
        let (shared, mut scripts) = many(mode, &world.snapshot());
        let cold = shared.work();
        assert_eq!(cold.resources, 301);
        assert_eq!(publish(&mut scripts, &world.snapshot()), 0);
        assert_eq!(shared.work(), cold);

        world.put(EDS, "aa2");
        assert_eq!(publish(&mut scripts, &world.snapshot()), 50);
        let warm = shared.work();
        assert_eq!(warm.resources - cold.resources, 1);
        assert_eq!(warm.payloads - cold.payloads, 1);
        // Three layers of two segments at most, whatever the number of streams.
        assert!(warm.diffs - cold.diffs <= 4, "{warm:?} {cold:?}");

        world.put(CDS, "ab2");
        publish(&mut scripts, &world.snapshot());
        let after = shared.work();
        let expected = if mode == Mode::Delta { 2 } else { 101 };
        assert_eq!(after.resources - warm.resources, expected);
        world.remove(CDS, "ab");
        world.remove(LDS, "ab");
        world.put(RDS, "r2/aa");
        publish(&mut scripts, &world.snapshot());
        let end = shared.work();
        let expected = if mode == Mode::Delta { 1 } else { 99 + 99 + 1 };
        assert_eq!(end.resources - after.resources, expected);
    }
}

#[test]
fn own_layers_share_what_is_below_them() {
    let mut world = world();
    let base = world.snapshot();
    let own = |i: u8| {
        let mut world = World::new(&format!("own{i}"), "", "", "");
        let layer = world.snapshot().clusters.layers()[1].clone();
        assert_eq!(layer.len(), 1);
        layer
    };
    let shared = Arc::new(Fanout::default());
    let mut streams = Vec::new();
    for i in 0..100 {
        let mut layers = base.clusters.layers().to_vec();
        layers.push(own(i));
        let snapshot = Snapshot {
            clusters: Arc::new(Set::new(layers)),
            ..(*base).clone()
        };
        let mut script = Script::new(Mode::Delta, Service::Ads, World::new("", "", "", ""));
        script.stream = Stream::new(
            Mode::Delta,
            Service::Ads,
            shared.clone(),
            Settings::default(),
        );
        script.stream.publish(Arc::new(snapshot), script.now);
        script.delta(CDS, "", "");
        let said = script.take();
        assert_eq!(said[0].resources.len(), 101);
        script.ack(CDS);
        streams.push(script);
    }
    // 100 shared resources once, and one for each of their own.
    assert_eq!(shared.work().resources, 200);
}

#[test]
fn a_layer_above_another_replaces_and_hides() {
    let mut world = World::new("a1 b1 c1", "", "", "");
    let base = world.snapshot();
    let mut over = World::new("b2", "", "", "");
    let b = over.snapshot().clusters.get("b").cloned().unwrap();
    let top = Layer::default().with([("b".into(), Change::Put(b)), ("c".into(), Change::Hide)]);
    let mut layers = base.clusters.layers().to_vec();
    layers.push(Arc::new(top));
    let snapshot = Snapshot {
        clusters: Arc::new(Set::new(layers)),
        assignments: Assignments::default(),
        ..(*base).clone()
    };
    let mut script = Script::ready(Mode::Delta, world);
    script.stream.publish(Arc::new(snapshot), script.now);
    script.delta(CDS, "", "");
    script.sent(&["cds +a1 +b2"]);
}

#[test]
fn a_stream_is_small() {
    let mut world = world();
    let (_, scripts) = many(Mode::Delta, &world.snapshot());
    let stream = &scripts[0].stream;
    // What it points to is shared; what it has of its own is empty when all is quiet.
    assert!(size_of_val(stream) < 3_000, "{}", size_of_val(stream));
    for t in ResourceType::ALL {
        let channel = stream.channel(t);
        assert!(channel.held.exceptions.is_empty());
        assert!(channel.open.is_empty() && channel.asked.capacity() < 8);
        let first = &scripts[1].stream.channel(t).subscription.interest();
        assert_eq!(first.address(), channel.subscription.interest().address());
    }
}
