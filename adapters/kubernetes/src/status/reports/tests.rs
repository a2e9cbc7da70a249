use super::*;
use crate::status::tests::Fake;
use crate::status::verdicts::Verdict;
use pilothouse_core::mesh::Source;
use pilothouse_core::registry::Meta;
use tokio::task::JoinSet;
use tokio::time::sleep;

const BELOW: &str = "/api/v1/namespaces/pilothouse/configmaps";

fn reports(fake: &Fake, replica: &str) -> Reports {
    Reports {
        api: fake.api(),
        registry: RegistryId::new("Kubernetes", "east_1_"),
        namespace: "pilothouse".into(),
        replica: replica.into(),
        pod_uid: None,
    }
}

fn source() -> Source {
    Source {
        registry: RegistryId::new("Kubernetes", "east_1_"),
        object: Meta::new("EnvoyFilter", "shop", "web").key,
    }
}

fn refused(fake: &Fake, replica: &str) -> Option<u64> {
    let map = fake.get(&format!("{BELOW}/pilothouse-verdicts-{replica}"))?;
    let all = verdicts::read(map["data"][FIELD].as_str()?);
    let verdict = all.get(&source().object);
    Some(verdict.map_or(0, |verdict| {
        verdict.refused.values().map(|one| one.proxies).sum()
    }))
}

#[tokio::test(start_paused = true)]
async fn a_replica_publishes_only_news_and_not_too_often() {
    let (fake, status) = (Fake::default(), StatusHandle::new());
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let (reports, handle, ending) = (reports(&fake, "a"), status.clone(), stop.clone());
    tasks.spawn(async move { reports.publish(handle, ending).await });
    sleep(Duration::from_secs(1)).await;
    assert_eq!(refused(&fake, "a"), Some(0), "it says that it is there");
    assert_eq!(fake.changes().len(), 2, "replaced in vain, and created");
    for n in 0..60 {
        status.nacked(&source(), &format!("p{n}"), "Cluster", "bad");
        sleep(Duration::from_millis(500)).await;
    }
    let writes = fake.changes().len();
    assert!((3..=4).contains(&writes), "{writes}");
    sleep(Duration::from_secs(10)).await;
    assert_eq!(refused(&fake, "a"), Some(60));
    fake.changes();
    // What is said of a set, and the same said again, is no news.
    status.nacked(&source(), "p1", "Cluster", "bad");
    sleep(Duration::from_secs(500)).await;
    assert_eq!(fake.changes().len(), 0);
    sleep(Duration::from_secs(200)).await;
    assert_eq!(fake.changes().len(), 1, "a sign of life");
    stop.cancel();
    tasks.join_all().await;
    assert_eq!(refused(&fake, "a"), None, "it takes it back");
}

#[tokio::test(start_paused = true)]
async fn the_holder_sums_and_removes_what_is_left_behind() {
    let fake = Fake::default();
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let (b, status) = (reports(&fake, "b"), StatusHandle::new());
    status.nacked(&source(), "p1", "Cluster", "bad");
    let (handle, ending) = (status.clone(), stop.clone());
    tasks.spawn(async move { b.publish(handle, ending).await });
    let dead = reports(&fake, "dead");
    dead.write(&verdicts::of(&status.get(), &source().registry))
        .await
        .unwrap();

    let (lead, leading) = Leadership::new();
    let (tell, mut others) = watch::channel(BTreeMap::new());
    let (holder, ending) = (reports(&fake, "holder"), stop.clone());
    holder.write(&Verdicts::new()).await.unwrap();
    tasks.spawn(async move { holder.gather(leading, tell, ending).await });
    sleep(Duration::from_secs(30)).await;
    assert!(others.borrow().is_empty(), "it is not for this one to say");
    lead.send_replace(Some(Instant::now() + Duration::from_secs(9000)));
    others.changed().await.unwrap();
    let names = |others: &watch::Receiver<BTreeMap<String, Verdicts>>| {
        others.borrow().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        names(&others),
        ["pilothouse-verdicts-b", "pilothouse-verdicts-dead"]
    );
    let sum = verdicts::sum(Verdicts::new(), others.borrow().values());
    let proxies = |verdict: &Verdict| verdict.refused["Cluster"].proxies;
    assert_eq!(sum.values().map(proxies).collect::<Vec<_>>(), [2]);

    others.changed().await.unwrap();
    assert_eq!(names(&others), ["pilothouse-verdicts-b"]);
    assert_eq!(
        (refused(&fake, "b"), refused(&fake, "dead")),
        (Some(1), None)
    );
    stop.cancel();
    tasks.join_all().await;
}

#[test]
fn a_label_says_which_registry() {
    let check = |cluster: &str, expected: &str| {
        assert_eq!(label(&RegistryId::new("Kubernetes", cluster)), expected);
    };
    check("east_1_", "east_1");
    check("a/b", "a-b");
    check("", "");
}
