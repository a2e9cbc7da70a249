//! Watches that break, stall, repeat, lie or are refused: nothing that is known changes by it, and everything that happens is seen.

use std::time::Duration;

use pilothouse_kubernetes::watch::{Scope, Settings};
use tokio::time::{Instant, advance};

use crate::fake::{Asked, Fake, Fault, Key, On, What};
use crate::following::{Following, PODS, by_pages, pod, pods};

/// A server with two pods, followed long enough for its watch to count as one that works.
async fn two(settings: &Settings) -> (Fake, Following) {
    let fake = Fake::new();
    fake.put(PODS, pod("a", "1"));
    fake.put(PODS, pod("b", "1"));
    let mut pods = Following::new(&fake, settings);
    pods.expect(&["listed a=1 b=1"]).await;
    assert_eq!(pods.within(Duration::from_secs(2)).await, "nothing");
    (fake, pods)
}

/// The versions from which watches went on.
fn resumed(fake: &Fake) -> Vec<String> {
    let asked = fake.asked();
    let watches = asked
        .iter()
        .filter(|asked| asked.verb == "watch" && !asked.is_streamed());
    watches
        .map(|asked| asked.parameter("resourceVersion").to_owned())
        .collect()
}

fn lists(fake: &Fake) -> Vec<Asked> {
    fake.asked()
        .into_iter()
        .filter(|asked| asked.verb == "list")
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_breaks_goes_on_where_it_was() {
    let (fake, mut pods) = two(&by_pages()).await;
    fake.put(PODS, pod("a", "2"));
    pods.expect(&["applied a=2"]).await;
    fake.change(|cluster| {
        cluster.cut();
        cluster.put(PODS, pod("c", "1"));
    });
    pods.expect(&["applied c=1"]).await;
    assert_eq!(resumed(&fake), ["102", "103"]);
    assert_eq!(lists(&fake).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_bookmark_moves_the_version() {
    let (fake, mut pods) = two(&by_pages()).await;
    fake.put("services", pod("other", "1"));
    fake.change(|cluster| cluster.bookmark());
    assert_eq!(pods.within(Duration::from_secs(1)).await, "nothing");
    fake.change(|cluster| {
        cluster.compact();
        cluster.cut();
    });
    fake.put(PODS, pod("a", "2"));
    pods.expect(&["applied a=2"]).await;
    assert_eq!(resumed(&fake), ["102", "103"]);
    assert_eq!(lists(&fake).len(), 1, "nothing had expired");
}

#[tokio::test(start_paused = true)]
async fn a_server_ends_watches_in_time_and_nothing_is_said() {
    let (fake, mut pods) = two(&by_pages()).await;
    for _ in 0..30 {
        fake.change(|cluster| cluster.bookmark());
        assert_eq!(pods.within(Duration::from_secs(60)).await, "nothing");
    }
    let watches = resumed(&fake).len();
    assert!(
        (4..=7).contains(&watches),
        "{watches} in half an hour, of 5 to 10 minutes each"
    );
    assert_eq!(lists(&fake).len(), 1);
    let length = |asked: &Asked| asked.parameter("timeoutSeconds").parse::<u64>().unwrap();
    let asked = fake.asked();
    let lengths: Vec<_> = asked
        .iter()
        .filter(|asked| asked.verb == "watch")
        .map(length)
        .collect();
    assert!(
        lengths.iter().all(|length| (300..=600).contains(length)),
        "{lengths:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_expired_version_is_one_consistent_list_and_no_failure() {
    for at_start in [true, false] {
        let (fake, mut pods) = two(&by_pages()).await;
        fake.change(|cluster| {
            cluster.gone_at_start = at_start;
            cluster.cut();
            cluster.put(PODS, pod("a", "2"));
            cluster.remove(&Key::new(PODS, "shop", "b"));
            cluster.put(PODS, pod("c", "1"));
            cluster.compact();
        });
        pods.expect(&["listed a=2 c=1"]).await;
        let lists = lists(&fake);
        assert_eq!(lists.len(), 2);
        assert_eq!(
            lists[1].parameter("resourceVersion"),
            "",
            "as new as the store"
        );
        fake.put(PODS, pod("a", "3"));
        pods.expect(&["applied a=3"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_given_up_and_resumed() {
    let fake = Fake::new();
    fake.put(PODS, pod("a", "1"));
    fake.fault(Fault::on(On::Watch, PODS, What::Stall).times(1));
    let mut pods = Following::new(&fake, &by_pages());
    pods.expect(&["listed a=1"]).await;
    fake.put(PODS, pod("a", "2"));
    let begun = Instant::now();
    pods.expect(&["applied a=2"]).await;
    let took = begun.elapsed();
    assert!(
        took <= Settings::default().silence + Duration::from_secs(1),
        "{took:?}"
    );
    assert_eq!(resumed(&fake), ["101", "101"]);
    let lists = lists(&fake);
    assert_eq!(lists.len(), 2);
    assert_eq!(lists[1].parameter("limit"), "1", "only the version");
}

#[tokio::test(start_paused = true)]
async fn an_absent_server_changes_nothing_and_is_reported_once() {
    let (fake, mut pods) = two(&by_pages()).await;
    fake.change(|cluster| {
        cluster.down = true;
        cluster.put(PODS, pod("a", "2"));
    });
    pods.expect(&["failing: watch pods: the API server cannot be asked"])
        .await;
    assert_eq!(pods.event().await, "nothing", "for an hour");
    assert_eq!(pods.shown(), "a=1 b=1");
    fake.heal();
    pods.expect(&["applied a=2", "recovered"]).await;
    assert_eq!(lists(&fake).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn storms_are_met_with_growing_pauses() {
    let storm = async |what: What| {
        let (fake, mut pods) = two(&by_pages()).await;
        fake.fault(Fault::on(On::Watch, PODS, what));
        fake.change(|cluster| cluster.cut());
        let failing = pods.event().await;
        assert!(failing.starts_with("failing: watch pods: "), "{failing}");
        let before = resumed(&fake).len();
        assert_eq!(
            pods.within(Duration::from_secs(600)).await,
            "nothing",
            "one cause is said once"
        );
        let asked = resumed(&fake).len() - before;
        assert!((15..=50).contains(&asked), "{asked} times in ten minutes");
        fake.heal();
        pods.expect(&["recovered"]).await;
        fake.put(PODS, pod("a", "2"));
        pods.expect(&["applied a=2"]).await;
        assert_eq!(lists(&fake).len(), 1, "the version is still good");
    };
    storm(What::Status(500, "etcd is gone", None)).await;
    storm(What::Status(429, "slowly", None)).await;
    storm(What::Status(503, "starting", None)).await;
    storm(What::Error(500, "InternalError", None)).await;
    storm(What::End).await;
    storm(What::Status(401, "who are you", None)).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_says_when_it_wants_to_be_asked_again() {
    for what in [
        What::Status(429, "slowly", Some(40)),
        What::Error(429, "TooManyRequests", Some(40)),
    ] {
        let (fake, mut pods) = two(&by_pages()).await;
        fake.fault(Fault::on(On::Watch, PODS, what).times(1));
        fake.change(|cluster| cluster.cut());
        let begun = Instant::now();
        pods.expect(&["failing: watch pods: 429", "recovered"])
            .await;
        let took = begun.elapsed().as_secs();
        assert!((40..=46).contains(&took), "{took}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_worked_may_fail_once_without_a_word() {
    let (fake, mut pods) = two(&by_pages()).await;
    fake.fault(Fault::on(On::Watch, PODS, What::Error(500, "InternalError", None)).times(1));
    fake.change(|cluster| cluster.cut());
    // The second watch fails before it has counted as one that works.
    pods.expect(&["failing: watch pods: 500", "recovered", "nothing"])
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_forbidden_names_the_right_and_affects_nothing_else() {
    let fake = Fake::new();
    fake.put(PODS, pod("a", "1"));
    fake.put("services", pod("s", "1"));
    for on in [On::List, On::Watch, On::Streamed] {
        fake.fault(Fault::on(
            on,
            PODS,
            What::Status(403, "pods is forbidden", None),
        ));
    }
    let scope = Scope {
        namespace: Some("shop".into()),
        ..Scope::default()
    };
    let settings = Settings::default();
    let mut denied = Following::of(fake.client(), pods(), scope, &settings);
    let mut resource = pods();
    resource.plural = "services";
    let mut services = Following::of(fake.client(), resource, Scope::default(), &settings);
    services.expect(&["listed s=1"]).await;
    let why = denied.event().await;
    let expected = "failing: list pods in namespace shop: 403 Forbidden: pods is forbidden; allow the verbs list and watch on pods of the API group \"\" to the account of this process";
    assert_eq!(why, expected);
    assert_eq!(denied.within(Duration::from_secs(300)).await, "nothing");
    fake.put("services", pod("s", "2"));
    services.expect(&["applied s=2"]).await;
    fake.heal();
    let begun = Instant::now();
    denied.expect(&["listed a=1"]).await;
    assert!(begun.elapsed() <= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_is_not_served_is_waited_for() {
    let fake = Fake::new();
    fake.change(|cluster| cluster.missing.insert(PODS.into()));
    let settings = Settings::default();
    let mut pods = Following::new(&fake, &settings);
    pods.expect(&["absent"]).await;
    let before = fake.asked().len();
    assert_eq!(pods.within(Duration::from_secs(600)).await, "nothing");
    let asked = fake.asked().len() - before;
    assert!((20..=40).contains(&asked), "{asked} times in ten minutes");
    fake.put(PODS, pod("a", "1"));
    fake.change(|cluster| cluster.missing.clear());
    let begun = Instant::now();
    pods.expect(&["listed a=1"]).await;
    assert!(begun.elapsed() <= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_poke_asks_at_once_and_a_few_times_more() {
    let fake = Fake::new();
    fake.change(|cluster| cluster.missing.insert(PODS.into()));
    let settings = Settings::default();
    let mut pods = Following::new(&fake, &settings);
    pods.expect(&["absent"]).await;
    assert_eq!(pods.within(Duration::from_secs(1)).await, "nothing");
    let before = fake.asked().len();
    settings.poke.poke();
    assert_eq!(
        pods.within(Duration::from_secs(2)).await,
        "nothing",
        "it is not served at once"
    );
    let not_yet = |asked: &Asked| asked.verb == "watch";
    fake.until_asked(before + 3, not_yet).await;
    fake.put(PODS, pod("a", "1"));
    fake.change(|cluster| cluster.missing.clear());
    let begun = Instant::now();
    pods.expect(&["listed a=1"]).await;
    assert!(
        begun.elapsed() <= Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_served_must_be_missing_for_a_while() {
    let (fake, mut pods) = two(&by_pages()).await;
    fake.change(|cluster| {
        cluster.missing.insert(PODS.into());
        cluster.cut();
    });
    assert_eq!(pods.within(Duration::from_secs(2)).await, "nothing");
    fake.change(|cluster| cluster.missing.clear());
    pods.expect(&["listed a=1 b=1"]).await;
    assert_eq!(pods.within(Duration::from_secs(2)).await, "nothing");
    fake.change(|cluster| {
        cluster.missing.insert(PODS.into());
        cluster.cut();
    });
    pods.expect(&["absent", "nothing"]).await;
    fake.change(|cluster| cluster.missing.clear());
    pods.expect(&["listed a=1 b=1"]).await;
}

#[tokio::test(start_paused = true)]
async fn events_that_come_twice_change_nothing_more() {
    let fake = Fake::new();
    fake.fault(Fault::on(On::Watch, PODS, What::Repeat));
    let mut pods = Following::new(&fake, &by_pages());
    pods.expect(&["listed "]).await;
    fake.put(PODS, pod("a", "1"));
    pods.expect(&["applied a=1", "applied a=1"]).await;
    fake.remove(PODS, "shop", "a");
    pods.expect(&["deleted a", "deleted a"]).await;
    assert_eq!(pods.within(Duration::from_secs(60)).await, "nothing");
    assert_eq!(lists(&fake).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn events_in_the_wrong_order_are_not_believed() {
    let (fake, mut pods) = two(&by_pages()).await;
    fake.fault(Fault::on(On::Watch, PODS, What::Swap).times(1));
    fake.change(|cluster| {
        cluster.cut();
        cluster.put(PODS, pod("a", "2"));
        cluster.put(PODS, pod("a", "3"));
    });
    pods.expect(&["applied a=3", "listed a=3 b=1", "nothing"])
        .await;
    fake.fault(Fault::on(On::Watch, PODS, What::Swap).times(1));
    fake.change(|cluster| {
        cluster.cut();
        cluster.remove(&Key::new(PODS, "shop", "a"));
        cluster.put(PODS, pod("a", "4"));
    });
    pods.expect(&["applied a=4", "listed a=4 b=1"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_restored_is_listed_anew_after_a_silence() {
    let (fake, mut pods) = two(&by_pages()).await;
    fake.change(|cluster| {
        cluster.remove(&Key::new(PODS, "shop", "b"));
        cluster.version = 50;
        cluster.history.clear();
        cluster.cut();
    });
    let begun = Instant::now();
    pods.expect(&["listed a=1"]).await;
    let took = begun.elapsed();
    assert!(
        took <= Settings::default().silence + Duration::from_secs(1),
        "{took:?}"
    );
    fake.put(PODS, pod("a", "2"));
    pods.expect(&["applied a=2"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_behind_is_listed_anew() {
    let (fake, mut pods) = two(&by_pages()).await;
    let behind = What::Status(
        504,
        "Too large resource version: 102, current: 101",
        Some(1),
    );
    fake.fault(Fault::on(On::Watch, PODS, behind).times(1));
    fake.change(|cluster| cluster.cut());
    pods.expect(&["listed a=1 b=1"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_fails_while_it_is_not_served_recovers() {
    let fake = Fake::new();
    fake.change(|cluster| cluster.missing.insert(PODS.into()));
    let mut pods = Following::new(&fake, &by_pages());
    pods.expect(&["absent"]).await;
    fake.change(|cluster| cluster.down = true);
    pods.expect(&["failing: list pods: the API server cannot be asked"])
        .await;
    fake.heal();
    pods.expect(&["recovered", "nothing"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_costs_only_itself() {
    let fake = Fake::new();
    fake.fault(Fault::on(On::Watch, PODS, What::Garbage));
    let mut pods = Following::new(&fake, &by_pages());
    pods.expect(&["listed "]).await;
    fake.put(PODS, pod("a", "1"));
    pods.expect(&[
        "unreadable: watch pods: an object cannot be read: expected",
        "unreadable: watch pods: an object cannot be read: it has no metadata.name",
        "applied a=1",
    ])
    .await;
    assert_eq!(lists(&fake).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_it_ends_its_watch() {
    let (fake, pods) = two(&Settings::default()).await;
    fake.until_open(PODS, 1).await;
    drop(pods);
    advance(Duration::from_secs(1)).await;
    fake.until_open(PODS, 0).await;
}

#[tokio::test]
async fn dropping_it_closes_its_connection() {
    let fake = Fake::new();
    fake.put(PODS, pod("a", "1"));
    let served = fake.serve().await;
    let uri = format!("http://{}", served.address).parse().unwrap();
    let client = kube::Client::try_from(kube::Config::new(uri)).unwrap();
    let mut all = Following::of(client, pods(), Scope::default(), &Settings::default());
    all.expect(&["listed a=1"]).await;
    fake.put(PODS, pod("a", "2"));
    all.expect(&["applied a=2"]).await;
    fake.until_open(PODS, 1).await;
    drop(all);
    fake.until_open(PODS, 0).await;
}
