use super::*;
use crate::status::tests::Fake;
use tokio::task::JoinSet;

const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/pilothouse/leases/status";

struct Contender {
    name: &'static str,
    leading: Leadership,
    stop: CancellationToken,
}

fn lease(me: &str) -> Lease {
    Lease {
        namespace: "pilothouse".into(),
        name: "status".into(),
        me: me.into(),
        times: Times::default(),
    }
}

fn start(tasks: &mut JoinSet<()>, fake: &Fake, name: &'static str) -> Contender {
    let (tell, leading) = Leadership::new();
    let stop = CancellationToken::new();
    tasks.spawn(lease(name).contend(fake.api(), tell, stop.clone()));
    Contender {
        name,
        leading,
        stop,
    }
}

fn holders(all: &[Contender]) -> Vec<&'static str> {
    let holding = all.iter().filter(|one| one.leading.holds());
    holding.map(|one| one.name).collect()
}

fn holder(fake: &Fake) -> String {
    let lease = fake.get(PATH).unwrap();
    lease["spec"]["holderIdentity"].as_str().unwrap().to_owned()
}

/// Advances the clock, and sees to it that there is never more than one.
async fn pass(all: &[Contender], seconds: u64) {
    for _ in 0..seconds * 4 {
        sleep(Duration::from_millis(250)).await;
        assert!(holders(all).len() <= 1, "{:?}", holders(all));
    }
}

#[tokio::test(start_paused = true)]
async fn of_three_one_holds_it_and_the_next_when_it_leaves() {
    let (fake, mut tasks) = (Fake::default(), JoinSet::new());
    let mut all = Vec::from(["a", "b", "c"].map(|name| start(&mut tasks, &fake, name)));
    for transitions in 0..3 {
        pass(&all, 6).await;
        let [name] = holders(&all)[..] else {
            panic!("one of them holds it");
        };
        assert_eq!(holder(&fake), name);
        assert_eq!(
            fake.get(PATH).unwrap()["spec"]["leaseTransitions"],
            transitions
        );
        pass(&all, 60).await;
        assert_eq!(holders(&all), [name], "and goes on holding it");
        let at = all.iter().position(|one| one.name == name).unwrap();
        all.remove(at).stop.cancel();
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(holder(&fake), "", "the last one has given it back");
    tasks.join_all().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_dies_is_replaced_when_its_time_is_up() {
    let (fake, mut tasks) = (Fake::default(), JoinSet::new());
    let mut dying = JoinSet::new();
    let a = start(&mut dying, &fake, "a");
    pass(std::slice::from_ref(&a), 1).await;
    let b = start(&mut tasks, &fake, "b");
    pass(std::slice::from_ref(&a), 7).await;
    dying.shutdown().await;
    let died = Instant::now();
    let all = [a, b];
    while holders(&all) != ["b"] {
        pass(&all, 1).await;
        assert!(died.elapsed() < Duration::from_secs(21));
    }
    assert!(
        died.elapsed() >= Duration::from_secs(12),
        "{:?}",
        died.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_renew_stops_before_another_begins() {
    let (fake, mut tasks) = (Fake::default(), JoinSet::new());
    let all = [start(&mut tasks, &fake, "a")];
    pass(&all, 3).await;
    assert_eq!(holders(&all), ["a"]);
    fake.refuse(Some(500));
    pass(&all, 11).await;
    assert_eq!(holders(&all), [""; 0]);
    fake.refuse(None);
    pass(&all, 5).await;
    assert_eq!(holders(&all), ["a"]);
    assert_eq!(fake.get(PATH).unwrap()["spec"]["leaseTransitions"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_changes_nothing() {
    let (fake, mut tasks) = (Fake::default(), JoinSet::new());
    let foreign = |renewed: &str| {
        json!({
            "metadata": {"name": "status"},
            "spec": {
                "holderIdentity": "old", "leaseDurationSeconds": 15, "leaseTransitions": 7,
                "acquireTime": "1999-01-01T00:00:00.000000Z", "renewTime": renewed,
            },
        })
    };
    fake.put(PATH, foreign("1999-01-01T00:00:00.000000Z"));
    let all = [start(&mut tasks, &fake, "a")];
    pass(&all, 14).await;
    fake.put(PATH, foreign("1999-01-01T00:00:02.000000Z"));
    pass(&all, 14).await;
    assert_eq!(holders(&all), [""; 0], "it is renewed");
    pass(&all, 12).await;
    assert_eq!(holders(&all), ["a"]);
    assert_eq!(fake.get(PATH).unwrap()["spec"]["leaseTransitions"], 8);
}

#[tokio::test(start_paused = true)]
async fn losing_it_is_noticed_at_once() {
    let (tell, mut leading) = Leadership::new();
    let until = Instant::now() + Duration::from_secs(10);
    tell.send_replace(Some(until));
    leading.taken().await;
    leading.lost().await;
    assert_eq!(Instant::now(), until, "nobody said so");
    assert!(!leading.holds());
    tell.send_replace(Some(Instant::now() + Duration::from_secs(10)));
    leading.taken().await;
    tell.send_replace(None);
    let before = Instant::now();
    leading.lost().await;
    assert_eq!(Instant::now(), before);
}

#[test]
fn no_two_are_called_alike() {
    assert_ne!(identity("pod"), identity("pod"));
    assert!(identity("pod").starts_with("pod_"));
}
