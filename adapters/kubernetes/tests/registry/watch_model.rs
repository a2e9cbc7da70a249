//! Whatever a server does and however it fails: in the end what is known is what it holds, and a list is never a part of one.

use std::collections::BTreeMap;
use std::time::Duration;

use pilothouse_kubernetes::watch::{Settings, StreamingLists};
use proptest::prelude::*;
use tokio::time::Instant;

use crate::fake::{Fake, Fault, Key, On, What};
use crate::following::{Following, PODS, pod};

/// Something happens to the server.
#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Remove(u8),
    Compact,
    Cut,
    Bookmark,
    Away(bool),
    Served(bool),
    Wrong(On, What, usize),
    /// So many milliseconds pass.
    Pass(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = 0_u8..6;
    let on = prop_oneof![Just(On::List), Just(On::Watch), Just(On::Streamed)];
    let what = prop_oneof![
        Just(What::Status(429, "slowly", Some(2))),
        Just(What::Status(500, "broken", None)),
        Just(What::Status(403, "no", None)),
        Just(What::Status(410, "gone", None)),
        (0_usize..3).prop_map(What::AbortAt),
        (0_usize..3).prop_map(What::StallAt),
        (0_usize..3).prop_map(What::ExpireAt),
        Just(What::Hang),
        Just(What::Stall),
        Just(What::Error(410, "Expired", None)),
        Just(What::Error(500, "InternalError", None)),
        Just(What::End),
        Just(What::Repeat),
        Just(What::Swap),
        Just(What::Garbage),
        Just(What::NoEnd),
    ];
    let step = prop_oneof![
        8 => (name.clone(), any::<u8>()).prop_map(|(name, says)| Step::Put(name, says)),
        4 => name.prop_map(Step::Remove),
        2 => Just(Step::Compact),
        3 => Just(Step::Cut),
        2 => Just(Step::Bookmark),
        1 => any::<bool>().prop_map(Step::Away),
        1 => any::<bool>().prop_map(Step::Served),
        4 => (on, what, 1_usize..4).prop_map(|(on, what, times)| Step::Wrong(on, what, times)),
        6 => (0_u32..5000).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..40)
}

fn take(fake: &Fake, step: &Step) {
    let name = |name: &u8| format!("pod-{name}");
    fake.change(|cluster| match step {
        Step::Put(at, says) => drop(cluster.put(PODS, pod(&name(at), &says.to_string()))),
        Step::Remove(at) => drop(cluster.remove(&Key::new(PODS, "shop", &name(at)))),
        Step::Compact => cluster.compact(),
        Step::Cut => cluster.cut(),
        Step::Bookmark => cluster.bookmark(),
        Step::Away(down) => cluster.down = *down,
        Step::Served(true) => cluster.missing.clear(),
        Step::Served(false) => drop(cluster.missing.insert(PODS.into())),
        Step::Wrong(on, what, times) => cluster
            .faults
            .push(Fault::on(*on, PODS, what.clone()).times(*times)),
        Step::Pass(_) => {}
    });
}

/// What the server holds.
fn held(fake: &Fake) -> BTreeMap<String, String> {
    let cluster = fake.cluster.borrow();
    let text = |at: &serde_json::Value| at.as_str().unwrap().to_owned();
    let all = cluster.objects.values();
    all.map(|pod| (text(&pod["metadata"]["name"]), text(&pod["spec"]["says"])))
        .collect()
}

/// Waits for events until a time, and holds each list against everything that the server ever held.
async fn listen(pods: &mut Following, until: Instant, ever: &[BTreeMap<String, String>]) {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let event = pods.within(left).await;
        if event == "nothing" {
            return;
        }
        if event.starts_with("listed") {
            assert!(
                ever.contains(&pods.known),
                "{event} was never all there was: {ever:?}"
            );
        }
    }
}

async fn converges(steps: Vec<Step>, streaming: StreamingLists) {
    let fake = Fake::new();
    let settings = Settings {
        page: 2,
        streaming,
        ..Settings::default()
    };
    let mut pods = Following::new(&fake, &settings);
    let mut ever = vec![held(&fake)];
    for step in &steps {
        take(&fake, step);
        ever.push(held(&fake));
        if let Step::Pass(millis) = step {
            let until = Instant::now() + Duration::from_millis(u64::from(*millis));
            listen(&mut pods, until, &ever).await;
        }
    }
    fake.heal();
    take(&fake, &Step::Served(true));
    // Longer than the longest silence and the longest pause together.
    listen(&mut pods, Instant::now() + Duration::from_secs(400), &ever).await;
    assert_eq!(pods.known, held(&fake));
    take(&fake, &Step::Put(0, 0));
    listen(
        &mut pods,
        Instant::now() + Duration::from_secs(1),
        &[held(&fake)],
    )
    .await;
    assert_eq!(pods.known, held(&fake), "it is still followed");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_known_becomes_what_is_held(steps in steps(), streamed in any::<bool>()) {
        let clock = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let streaming = if streamed { StreamingLists::tried() } else { StreamingLists::never() };
        clock.block_on(converges(steps, streaming));
    }
}
