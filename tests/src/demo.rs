//! The demonstration: the example mesh runs, its files change, and no request fails.

mod change;
mod stage;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::time::Instant;

use crate::traffic::{Target, Traffic};
use crate::wait::{eventually, eventually_every};

use change::{Change, changes};
use stage::Stage;

/// How long a change may take to reach the last proxy.
const PATIENCE: Duration = Duration::from_secs(20);
/// How exactly that is measured.
const LOOK: Duration = Duration::from_millis(2);
/// Between two requests of one client.
const PAUSE: Duration = Duration::from_millis(2);
/// How many requests see every state of the mesh.
const REQUESTS_PER_STATE: u64 = 300;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Requests that were sent.
    pub sent: u64,
    /// Requests that were not answered with 200.
    pub failed: usize,
}

/// Runs the demonstration and prints its table; with `keep` it goes on until it is dropped.
pub async fn run(keep: bool, out: &mut impl Write) -> Result<Outcome> {
    let mut stage = Stage::set(out).await?;
    let traffic = Traffic::start(targets(&stage), PAUSE);
    more_requests(&traffic).await?;
    let mut outcome = Outcome { sent: 0, failed: 0 };
    row(
        out,
        "what changed",
        "last proxy had it",
        "requests",
        "failed",
    )?;
    count(out, &traffic, &mut outcome, "nothing yet", "")?;
    for change in changes() {
        let had_it = apply(&change, &mut stage).await?;
        more_requests(&traffic).await?;
        check_answers(&change, &traffic).await?;
        count(
            out,
            &traffic,
            &mut outcome,
            change.what,
            &format!("{:.0} ms", had_it.as_secs_f64() * 1000.0),
        )?;
    }
    let failed = traffic.stop().await.failed;
    for failure in failed.iter().take(5) {
        writeln!(
            out,
            "failed: {} via {}: {}",
            failure.host, failure.via, failure.why
        )?;
    }
    writeln!(
        out,
        "\n{} requests, {} failed",
        outcome.sent, outcome.failed
    )?;
    if keep {
        stage.explain(out)?;
        std::future::pending::<()>().await;
    }
    Ok(outcome)
}

/// A user who opens the page, and both clients on their own.
fn targets(stage: &Stage) -> Vec<Target> {
    let target = |via, host: &str| Target {
        via,
        host: host.to_owned(),
        path: "/".to_owned(),
    };
    let mut targets = vec![target(stage.page(), PAGE)];
    for sidecar in stage.sidecars() {
        targets.extend([REVIEWS, RATINGS].map(|host| target(sidecar.proxy, host)));
    }
    targets
}

const PAGE: &str = "page.bookinfo.mesh:9080";
const REVIEWS: &str = "reviews.bookinfo.mesh:9080";
const RATINGS: &str = "ratings.bookinfo.mesh:9080";

/// Edits the file and waits until the last proxy has the change; returns how long that took.
async fn apply(change: &Change, stage: &mut Stage) -> Result<Duration> {
    let text = (change.edit)(&stage.mesh().read(change.file)?);
    let began = Instant::now();
    stage.mesh().write(change.file, &text)?;
    eventually_every(
        LOOK,
        &format!("every proxy has it: {}", change.what),
        PATIENCE,
        async || {
            for sidecar in stage.sidecars() {
                let cluster = sidecar.cluster(change.cluster).await?;
                ensure!(
                    change.expected.is_met_by(&cluster),
                    "the sidecar of {} has {cluster:?}",
                    sidecar.name
                );
            }
            Ok(())
        },
    )
    .await?;
    let took = began.elapsed();
    if let Some(service) = change.then_stop {
        stage.stop(service).await?;
    }
    Ok(took)
}

/// Lets the mesh's state meet enough requests.
async fn more_requests(traffic: &Traffic) -> Result<()> {
    let wanted = traffic.report().sent + REQUESTS_PER_STATE;
    eventually("enough requests were sent", PATIENCE, async || {
        let sent = traffic.report().sent;
        ensure!(sent >= wanted, "{sent} of {wanted}");
        Ok(())
    })
    .await
}

/// A change that nobody notices is none.
async fn check_answers(change: &Change, traffic: &Traffic) -> Result<()> {
    let Some((host, answer)) = change.answers else {
        return Ok(());
    };
    eventually(
        &format!("{host} is answered by {answer}"),
        PATIENCE,
        async || {
            let answers = traffic.answers(host);
            if answers.contains_key(answer) {
                Ok(())
            } else {
                bail!("it was answered by {answers:?}")
            }
        },
    )
    .await
}

/// Prints a row with what was sent and what failed since the last one.
fn count(
    out: &mut impl Write,
    traffic: &Traffic,
    outcome: &mut Outcome,
    what: &str,
    time: &str,
) -> Result<()> {
    let report = traffic.report();
    let (sent, failed) = (
        report.sent - outcome.sent,
        report.failed.len() - outcome.failed,
    );
    *outcome = Outcome {
        sent: report.sent,
        failed: report.failed.len(),
    };
    row(out, what, time, &sent.to_string(), &failed.to_string())
}

fn row(out: &mut impl Write, what: &str, time: &str, sent: &str, failed: &str) -> Result<()> {
    writeln!(out, "{what:<44} {time:>18} {sent:>10} {failed:>8}").context("printing")
}
