//! What the suite checks, one function each.

use std::net::Ipv4Addr;

use super::running::Running;
use super::{Broken, Fixture, World};
use crate::store::{Changes, RegistryView};

/// Runs every check, each on a fixture of its own.
///
/// # Errors
/// The first way in which the adapter breaks the contract.
pub async fn every_check<F: Fixture>(new: impl AsyncFn() -> F) -> Result<(), Broken> {
    first_full_sets_before_synced(&mut new().await).await?;
    changes_arrive_in_order(&mut new().await).await?;
    lost_source_changes_nothing(&mut new().await).await?;
    partial_failure_stays_partial(&mut new().await).await?;
    stopping_is_prompt(&mut new().await).await?;
    run_twice_gives_the_same(&mut new().await).await?;
    restart_publishes_nothing(&mut new().await).await
}

/// When the adapter says that it is synced, everything that the source states is there.
///
/// # Errors
/// It is not.
pub async fn first_full_sets_before_synced(fixture: &mut dyn Fixture) -> Result<(), Broken> {
    let world = World::of(&[("alpha", &[1, 2]), ("beta", &[3]), ("gamma", &[4])]);
    fixture.apply(&world).await;
    let running = Running::start("first full sets before synced", fixture);
    running.ready().await?;
    let seen = World::seen(&running.mesh(), fixture);
    if seen != world {
        return Err(running.broken(
            "has everything when synced",
            &format!("{world:?}"),
            &format!("{seen:?}"),
        ));
    }
    Ok(())
}

/// Changes of one object arrive in their order, nothing vanishes in between, and what is gone is gone.
///
/// # Errors
/// A later state was followed by an earlier one, or the last never came.
pub async fn changes_arrive_in_order(fixture: &mut dyn Fixture) -> Result<(), Broken> {
    const LAST: u8 = 20;
    let world = |n: u8| World::of(&[("alpha", &[n]), ("beta", &[100])]);
    fixture
        .apply(&World::of(&[
            ("alpha", &[1]),
            ("beta", &[100]),
            ("gamma", &[101]),
        ]))
        .await;
    let running = Running::start("changes arrive in order", fixture);
    running.ready().await?;
    let mut changes = running.changes();
    let mut newest = 1;
    for n in 2..=LAST {
        fixture.apply(&world(n)).await;
        newest = in_order(&running.mesh(), fixture, newest).map_err(|found| {
            running.broken(
                "follows the source",
                &format!("alpha at {newest} or later"),
                &found,
            )
        })?;
    }
    let expected = format!("{:?}", world(LAST));
    let mut wrong = None;
    let outcome = running
        .until("follows the source", &expected, |mesh, _| {
            match in_order(mesh, fixture, newest) {
                Ok(n) => {
                    newest = n;
                    let seen = World::seen(mesh, fixture);
                    if seen == world(LAST) {
                        Ok(true)
                    } else {
                        Err(format!("{seen:?}"))
                    }
                }
                Err(found) => {
                    wrong = Some(found);
                    Ok(false)
                }
            }
        })
        .await;
    match wrong {
        Some(found) => Err(running.broken("follows the source", "no step back", &found)),
        None => outcome.and_then(|()| untouched(&running, fixture, &mut changes, "beta")),
    }
}

/// What did not change in the source was not touched either, not even for a moment.
fn untouched(
    running: &Running,
    fixture: &dyn Fixture,
    changes: &mut Changes,
    service: &str,
) -> Result<(), Broken> {
    let touched = changes
        .take()
        .map(|change| change.touched)
        .unwrap_or_default();
    let key = fixture.key(service);
    if touched.services.contains(&key) || touched.endpoints.contains(&key) {
        let found = "it vanished or differed for a moment";
        return Err(running.broken(
            "keeps what did not change",
            &format!("{service} untouched"),
            found,
        ));
    }
    Ok(())
}

/// Which state of `alpha` a mesh has, if it is none before `newest`.
fn in_order(mesh: &crate::mesh::Mesh, fixture: &dyn Fixture, newest: u8) -> Result<u8, String> {
    let seen = World::seen(mesh, fixture);
    let ips = seen.services.get("alpha").into_iter().flatten();
    match ips.map(Ipv4Addr::octets).collect::<Vec<_>>()[..] {
        [[.., n]] if n >= newest => Ok(n),
        _ => Err(format!("{seen:?} after state {newest}")),
    }
}

/// A source that cannot be read changes nothing; when it can be read again, its present state comes as a whole.
///
/// # Errors
/// Something was lost, the loss was not reported, or the present state never came.
pub async fn lost_source_changes_nothing(fixture: &mut dyn Fixture) -> Result<(), Broken> {
    let before = World::of(&[("alpha", &[1, 2]), ("beta", &[3])]);
    let after = World::of(&[("alpha", &[1, 2]), ("gamma", &[4])]);
    fixture.apply(&before).await;
    let running = Running::start("a lost source changes nothing", fixture);
    running.ready().await?;
    let mut changes = running.changes();

    fixture.break_source().await;
    let reported = |view: &RegistryView| view.is_impaired() || view.ended.is_some();
    running
        .until(
            "reports that the source cannot be read",
            "failing, or an end with a reason",
            |_, view| {
                if reported(view) {
                    Ok(true)
                } else {
                    Err("nothing of it".into())
                }
            },
        )
        .await?;
    fixture.apply(&after).await;
    if let Some(change) = changes.take() {
        let found = format!("{:?}", change.touched);
        return Err(running.broken(
            "keeps what it knew while the source is broken",
            "no change",
            &found,
        ));
    }

    fixture.heal_source().await;
    let mut lost = None;
    let outcome = running
        .until(
            "comes back with the present state",
            &format!("{after:?}"),
            |mesh, _| {
                let seen = World::seen(mesh, fixture);
                if seen.services.get("alpha") != after.services.get("alpha") {
                    lost = Some(format!("{seen:?}"));
                    return Ok(false);
                }
                if seen == after {
                    Ok(true)
                } else {
                    Err(format!("{seen:?}"))
                }
            },
        )
        .await;
    match lost {
        Some(found) => Err(running.broken("keeps what did not change", "alpha as before", &found)),
        None => outcome.and_then(|()| untouched(&running, fixture, &mut changes, "alpha")),
    }
}

/// What cannot be read keeps its last good version and is reported; the rest goes on.
///
/// # Errors
/// The failure spread, or was not reported. A platform that has no such failure passes.
pub async fn partial_failure_stays_partial(fixture: &mut dyn Fixture) -> Result<(), Broken> {
    let before = World::of(&[("alpha", &[1]), ("beta", &[2])]);
    let after = World::of(&[("alpha", &[3]), ("beta", &[4]), ("gamma", &[5])]);
    let between = World::of(&[("alpha", &[3]), ("beta", &[2]), ("gamma", &[5])]);
    fixture.apply(&before).await;
    let running = Running::start("a partial failure stays partial", fixture);
    running.ready().await?;
    if !fixture.apply_spoilt(&after, "beta").await {
        tracing::info!(target: "model", "there is no partial failure on this platform: not checked");
        return Ok(());
    }
    running
        .shows(
            fixture,
            "keeps the spoilt service and follows the others",
            &between,
        )
        .await?;
    let reported =
        |view: &RegistryView| view.is_impaired() || view.sets.iter().any(|set| set.rejected > 0);
    running
        .until(
            "reports the spoilt service",
            "something rejected or failing",
            |_, view| {
                if reported(view) {
                    Ok(true)
                } else {
                    Err("nothing of it".into())
                }
            },
        )
        .await?;
    fixture.apply(&after).await;
    running
        .shows(fixture, "reads the service when it is good again", &after)
        .await?;
    running
        .until(
            "reports nothing when all is good again",
            "nothing rejected or failing",
            |_, view| {
                if reported(view) {
                    Err(format!("{view:?}"))
                } else {
                    Ok(true)
                }
            },
        )
        .await
}

/// The adapter stops within a second or so: at work, while its source is broken, and at once after its start.
///
/// # Errors
/// It does not.
pub async fn stopping_is_prompt(fixture: &mut dyn Fixture) -> Result<(), Broken> {
    fixture.apply(&World::of(&[("alpha", &[1])])).await;
    let mut running = Running::start("stopping is prompt", fixture);
    running.ready().await?;
    running.stop_adapter("at work").await?;
    running.start_adapter(fixture);
    running.stop_adapter("just started").await?;
    fixture.break_source().await;
    running.start_adapter(fixture);
    running
        .until(
            "reports that the source cannot be read",
            "failing, or an end with a reason",
            |_, view| {
                let reported = view.is_impaired() || view.ended.is_some();
                if reported {
                    Ok(true)
                } else {
                    Err("nothing of it".into())
                }
            },
        )
        .await?;
    running.stop_adapter("while the source is broken").await
}

/// Two runs on the same source give equal values.
///
/// # Errors
/// They do not.
pub async fn run_twice_gives_the_same(fixture: &mut dyn Fixture) -> Result<(), Broken> {
    fixture
        .apply(&World::of(&[("alpha", &[1, 2]), ("beta", &[3])]))
        .await;
    let first = Running::start("run twice gives the same", fixture);
    first.ready().await?;
    let second = Running::start("run twice gives the same", fixture);
    second.ready().await?;
    let (one, two) = (first.mesh(), second.mesh());
    if *one != *two {
        return Err(first.broken(
            "gives the same values",
            &format!("{one:?}"),
            &format!("{two:?}"),
        ));
    }
    Ok(())
}

/// A restart on an unchanged source changes nothing in the store.
///
/// # Errors
/// Something was published.
pub async fn restart_publishes_nothing(fixture: &mut dyn Fixture) -> Result<(), Broken> {
    fixture
        .apply(&World::of(&[("alpha", &[1, 2]), ("beta", &[3])]))
        .await;
    let mut running = Running::start("a restart publishes nothing", fixture);
    running.ready().await?;
    running.stop_adapter("before its restart").await?;
    let mut changes = running.changes();
    running.start_adapter(fixture);
    running
        .until(
            "is synced a second time",
            "a second run that is synced",
            |_, view| {
                let done = view.runs > 1 && view.synced_runs == view.runs;
                if done {
                    Ok(true)
                } else {
                    Err(format!(
                        "run {} of which {} synced",
                        view.runs, view.synced_runs
                    ))
                }
            },
        )
        .await?;
    match changes.take() {
        None => Ok(()),
        Some(change) => Err(running.broken(
            "publishes nothing",
            "no change",
            &format!("{:?}", change.touched),
        )),
    }
}
