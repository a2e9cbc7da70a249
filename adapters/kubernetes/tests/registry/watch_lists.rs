//! Lists: by pages and as streams, whole or not at all.

use std::time::Duration;

use pilothouse_kubernetes::watch::{Scope, Settings, StreamingLists};
use tokio::time::Instant;

use crate::fake::{Asked, Fake, Fault, On, What, holes};
use crate::following::{Following, PODS, by_pages, pod, pods};

/// A server with five pods.
fn five() -> Fake {
    let fake = Fake::new();
    for name in ["a", "b", "c", "d", "e"] {
        fake.put(PODS, pod(name, "1"));
    }
    fake
}

const FIVE: &str = "listed a=1 b=1 c=1 d=1 e=1";

/// The parameters of all lists so far.
fn lists(fake: &Fake) -> Vec<String> {
    let asked = fake.asked();
    let lists = asked.iter().filter(|asked| asked.verb == "list");
    let parameters = |asked: &Asked| {
        let all = asked
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        all.collect::<Vec<_>>().join(" ")
    };
    lists.map(parameters).collect()
}

#[tokio::test(start_paused = true)]
async fn pages_make_one_list_and_a_watch_goes_on_from_there() {
    let fake = five();
    let mut pods = Following::new(&fake, &by_pages());
    pods.expect(&[FIVE]).await;
    assert_eq!(
        lists(&fake),
        [
            "limit=2 resourceVersion=0",
            "continue=105/0+=&0 limit=2",
            "continue=105/1+=&0 limit=2",
        ]
    );
    fake.put(PODS, pod("c", "2"));
    fake.put(PODS, pod("f", "1"));
    fake.remove(PODS, "shop", "a");
    pods.expect(&["applied c=2", "applied f=1", "deleted a"])
        .await;
    assert_eq!(pods.shown(), "b=1 c=2 d=1 e=1 f=1");
    assert_eq!(lists(&fake).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_told_to_be_consistent_is() {
    let fake = five();
    let settings = Settings {
        consistent: true,
        page: 500,
        ..by_pages()
    };
    Following::new(&fake, &settings).expect(&[FIVE]).await;
    assert_eq!(lists(&fake), ["limit=500"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_at_any_page_begins_anew_and_says_nothing() {
    let check = async |what: What, expected: &str| {
        let fake = five();
        fake.fault(Fault::on(On::List, PODS, what.clone()).times(2));
        let mut pods = Following::new(&fake, &by_pages());
        let failing = pods.event().await;
        assert!(
            failing.starts_with("failing: list pods: ") && failing.contains(expected),
            "{what:?}: {failing}"
        );
        pods.expect(&[FIVE]).await;
        fake.put(PODS, pod("a", "2"));
        pods.expect(&["applied a=2"]).await;
    };
    for page in 0..3 {
        check(What::AbortAt(page), "the answer broke off").await;
        check(What::StallAt(page), "has said nothing for 10s").await;
    }
    check(What::Hang, "has said nothing for 60s").await;
    check(
        What::Status(500, "etcd is gone", None),
        "500 Internal Server Error: etcd is gone",
    )
    .await;
    check(
        What::Status(401, "who are you", None),
        "the credentials of this process are not valid",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_list_whose_version_expires_is_asked_for_in_one_piece() {
    for page in 1..3 {
        let fake = five();
        fake.fault(Fault::on(On::List, PODS, What::ExpireAt(page)).times(1));
        Following::new(&fake, &by_pages()).expect(&[FIVE]).await;
        assert_eq!(
            lists(&fake).last().unwrap(),
            "",
            "neither a limit nor an old version"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_one_request_where_lists_are_streamed() {
    let fake = five();
    let mut pods = Following::new(&fake, &Settings::default());
    pods.expect(&[FIVE]).await;
    fake.put(PODS, pod("a", "2"));
    pods.expect(&["applied a=2"]).await;
    let asked = fake.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].is_streamed());
    assert_eq!(asked[0].parameter("resourceVersionMatch"), "NotOlderThan");
    assert_eq!(asked[0].parameter("allowWatchBookmarks"), "true");
}

#[tokio::test(start_paused = true)]
async fn what_happens_while_a_list_is_streamed_is_in_it() {
    let fake = five();
    fake.fault(Fault::on(On::Streamed, PODS, What::ChangesMeanwhile));
    let mut pods = Following::new(&fake, &Settings::default());
    pods.expect(&["listed a=1 b=1 c=1 d=1"]).await;
    fake.put(PODS, pod("e", "2"));
    pods.expect(&["applied e=2"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_streamed_list_that_breaks_off_says_nothing() {
    let check = async |what: What, expected: &str| {
        let fake = five();
        fake.fault(Fault::on(On::Streamed, PODS, what).times(1));
        let mut pods = Following::new(&fake, &Settings::default());
        pods.expect(&[expected, FIVE]).await;
        assert_eq!(lists(&fake), [""; 0], "it is streamed the second time, too");
    };
    check(What::End, "failing: list pods: the answer broke off").await;
    check(
        What::Error(500, "InternalError", None),
        "failing: list pods: 500",
    )
    .await;
    check(
        What::Status(429, "slowly", Some(3)),
        "failing: watch pods: 429",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_never_comes_as_a_stream_comes_by_pages() {
    for what in [
        What::Status(500, "no", None),
        What::Error(500, "InternalError", None),
        What::End,
    ] {
        let fake = five();
        fake.fault(Fault::on(On::Streamed, PODS, what));
        let settings = Settings::default();
        let mut pods = Following::new(&fake, &settings);
        pods.expect(&["failing: ", FIVE, "nothing"]).await;
        assert!(settings.streaming.is_tried(), "others are still streamed");
    }
}

#[tokio::test(start_paused = true)]
async fn servers_without_streamed_lists_are_asked_for_one_once() {
    let check = async |prepare: fn(&Fake), within: Duration| {
        let fake = five();
        prepare(&fake);
        let settings = Settings::default();
        let begun = Instant::now();
        let mut one = Following::new(&fake, &settings);
        one.expect(&[FIVE]).await;
        assert!(begun.elapsed() <= within, "{:?}", begun.elapsed());
        assert!(!settings.streaming.is_tried());
        Following::new(&fake, &settings).expect(&[FIVE]).await;
        let streamed = fake
            .asked()
            .iter()
            .filter(|asked| asked.is_streamed())
            .count();
        assert_eq!((streamed, lists(&fake).len()), (1, 2));
        fake.put(PODS, pod("a", "2"));
        one.expect(&["applied a=2"]).await;
    };
    check(
        |fake| fake.change(|cluster| cluster.streaming = false),
        Duration::ZERO,
    )
    .await;
    let bad = |fake: &Fake| {
        fake.fault(Fault::on(
            On::Streamed,
            PODS,
            What::Status(400, "what?", None),
        ))
    };
    check(bad, Duration::ZERO).await;
    let silent = |fake: &Fake| fake.fault(Fault::on(On::Streamed, PODS, What::NoEnd));
    check(silent, Duration::from_secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn one_resource_that_may_not_be_streamed_is_listed_by_pages() {
    let fake = five();
    fake.fault(Fault::on(
        On::Streamed,
        PODS,
        What::Status(403, "not you", None),
    ));
    let settings = Settings::default();
    Following::new(&fake, &settings).expect(&[FIVE]).await;
    assert!(settings.streaming.is_tried(), "others are still streamed");
    let never = StreamingLists::never();
    assert!(!never.is_tried());
}

#[tokio::test(start_paused = true)]
async fn only_what_is_in_scope_is_known() {
    let fake = five();
    let mut elsewhere = pod("x", "1");
    elsewhere["metadata"]["namespace"] = "other".into();
    fake.put(PODS, elsewhere);
    let scope = Scope {
        namespace: Some("shop".into()),
        labels: Some("app=web".into()),
        fields: None,
    };
    let mut only = Following::of(fake.client(), pods(), scope, &Settings::default());
    only.expect(&[FIVE]).await;
    let mut left = pod("a", "2");
    left["metadata"]["labels"]["app"] = "db".into();
    fake.put(PODS, left);
    only.expect(&["deleted a"]).await;
}

#[tokio::test(start_paused = true)]
async fn metadata_are_enough_where_they_are() {
    let fake = five();
    let mut resource = pods();
    resource.metadata_only = true;
    let mut names = Following::of(fake.client(), resource, Scope::default(), &by_pages());
    names.expect(&["listed a=- b=- c=- d=- e=-"]).await;
    fake.put(PODS, pod("f", "1"));
    names.expect(&["applied f=-"]).await;
    assert!(fake.asked().iter().all(|asked| asked.metadata_only));
}

#[tokio::test(start_paused = true)]
async fn objects_that_lack_everything_are_objects() {
    for on in [On::List, On::Watch, On::Streamed] {
        let fake = five();
        fake.fault(Fault::on(on, PODS, What::Nulls));
        let settings = if on == On::Streamed {
            Settings::default()
        } else {
            by_pages()
        };
        let mut pods = Following::new(&fake, &settings);
        let none = "listed a=- b=- c=- d=- e=-";
        pods.expect(&[if on == On::Watch { FIVE } else { none }])
            .await;
        fake.put(PODS, pod("a", "2"));
        pods.expect(&[if on == On::List {
            "applied a=2"
        } else {
            "applied a=-"
        }])
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_may_lack_any_field() {
    let fake = five();
    let mut pods = Following::new(&fake, &Settings::default());
    pods.expect(&[FIVE]).await;
    for lacking in holes(&pod("a", "2")) {
        fake.put(PODS, lacking);
        let found = pods.event().await;
        assert!(found.starts_with("applied a="), "{found}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_much_is_no_list_and_what_is_too_large_no_object() {
    let fake = five();
    fake.put(PODS, pod("f", &"x".repeat(2000)));
    let small = Settings {
        max_object: 1000,
        ..by_pages()
    };
    let mut pods = Following::new(&fake, &small);
    pods.expect(&[
        FIVE,
        "unreadable: list pods: an object cannot be read: it is too large",
    ])
    .await;
    fake.put(PODS, pod("g", &"x".repeat(2000)));
    fake.put(PODS, pod("h", "1"));
    pods.expect(&[
        "unreadable: watch pods: an object cannot be read: it is too large",
        "applied h=1",
    ])
    .await;
    for streaming in [StreamingLists::never(), StreamingLists::tried()] {
        let few = Settings {
            max_objects: 3,
            streaming,
            ..by_pages()
        };
        Following::new(&fake, &few)
            .expect(&[
                "failing: list pods: there are more than 3 objects",
                "nothing",
            ])
            .await;
    }
}
