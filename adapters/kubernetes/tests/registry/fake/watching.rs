//! Watches, and lists as streams.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::answer::{shown, status, status_object};
use super::cluster::{Change, Pruned};
use super::{Asked, Cluster, Fake, On, What};

/// Opens a watch.
pub(super) fn watch(fake: &Fake, asked: &Asked, on: On) -> Response {
    let wrong = fake.change(|cluster| cluster.goes_wrong(on, &asked.resource, |_| true));
    let cluster = fake.cluster.borrow().clone();
    let from = asked.parameter("resourceVersion");
    let all = matches!(from, "" | "0");
    if asked.is_streamed() && !cluster.streaming {
        return status(
            422,
            "Invalid",
            "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
            None,
        );
    }
    let version = if all {
        Some(cluster.version)
    } else {
        from.parse().ok()
    };
    let Some(version) = version else {
        return status(
            400,
            "BadRequest",
            &format!("invalid resource version {from}"),
            None,
        );
    };
    let gone = version < cluster.compacted;
    if gone && cluster.gone_at_start {
        return status(410, "Expired", "too old resource version", None);
    }
    let seconds = asked.parameter("timeoutSeconds").parse().unwrap_or(600);
    let mut session = Session {
        changes: fake.cluster.subscribe(),
        pruned: asked.pruned(),
        lines: VecDeque::new(),
        version,
        bookmarks: cluster.bookmarks,
        cuts: cluster.cuts,
        until: Instant::now() + Duration::from_secs(seconds),
        ended: false,
        asked: asked.clone(),
        _open: Open::new(fake, &asked.resource),
        wrong,
    };
    if all {
        session.begin(fake, &cluster);
    }
    let lines = stream::unfold(session, async |mut session| {
        let line = session.next().await?;
        Some((line, session))
    });
    (
        [("Content-Type", "application/json")],
        Body::from_stream(lines),
    )
        .into_response()
}

/// An open watch.
struct Session {
    changes: watch::Receiver<Cluster>,
    asked: Asked,
    pruned: Pruned,
    /// What is still to be sent.
    lines: VecDeque<Bytes>,
    /// Up to which version all was sent.
    version: u64,
    bookmarks: u64,
    cuts: u64,
    until: Instant,
    ended: bool,
    wrong: Option<What>,
    _open: Open,
}

impl Session {
    /// Begins with all that is there.
    fn begin(&mut self, fake: &Fake, cluster: &Cluster) {
        let all = cluster.list(&self.asked.resource, &self.pruned);
        if self.wrong == Some(What::ChangesMeanwhile) {
            let (first, last) = (all.first().cloned(), all.last().cloned());
            fake.change(|cluster| {
                let key = |object: &Value| {
                    let text = |name: &str| {
                        object["metadata"][name]
                            .as_str()
                            .unwrap_or_default()
                            .to_owned()
                    };
                    super::Key::new(&self.asked.resource, &text("namespace"), &text("name"))
                };
                if let Some(mut first) = first {
                    first["metadata"]["labels"]["meanwhile"] = "yes".into();
                    cluster.put(&self.asked.resource, first);
                }
                last.as_ref().map(|last| cluster.remove(&key(last)));
            });
        }
        for object in all {
            self.event("ADDED", object);
        }
        let ends = !matches!(self.wrong, Some(What::NoEnd | What::Error(..)));
        if self.asked.is_streamed() && ends {
            self.changed(&fake.cluster.borrow());
            let object = json!({"metadata": {"resourceVersion": self.version.to_string(), "annotations": {"k8s.io/initial-events-end": "true"}}});
            self.line("BOOKMARK", &object);
        }
    }

    async fn next(&mut self) -> Option<Result<Bytes, io::Error>> {
        loop {
            match self.wrong {
                Some(What::Stall) => return pending().await,
                Some(What::End) => return None,
                Some(What::Error(code, reason, wait)) if !self.ended => {
                    self.ended = true;
                    self.line(
                        "ERROR",
                        &status_object(code, reason, "the server gives up", wait),
                    );
                }
                _ => {}
            }
            let cluster = self.changes.borrow_and_update().clone();
            if cluster.cuts > self.cuts || cluster.down {
                return Some(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if let Some(line) = self.lines.pop_front() {
                return Some(Ok(line));
            }
            if self.ended {
                return None;
            }
            if self.version < cluster.compacted {
                self.ended = true;
                self.line(
                    "ERROR",
                    &status_object(410, "Expired", "too old resource version", None),
                );
                continue;
            }
            self.changed(&cluster);
            if cluster.bookmarks > self.bookmarks {
                self.bookmarks = cluster.bookmarks;
                self.line(
                    "BOOKMARK",
                    &json!({"metadata": {"resourceVersion": self.version.to_string()}}),
                );
            }
            if self.lines.is_empty() {
                tokio::select! {
                    changed = self.changes.changed() => changed.ok()?,
                    () = sleep_until(self.until) => return None,
                }
            }
        }
    }

    /// Takes what has changed since.
    fn changed(&mut self, cluster: &Cluster) {
        let new = cluster
            .history
            .iter()
            .filter(|change| change.version > self.version);
        let mut events: Vec<_> = new.filter_map(|change| self.seen(change)).collect();
        self.version = self.version.max(cluster.version);
        if self.wrong == Some(What::Swap) {
            events.chunks_mut(2).for_each(<[_]>::reverse);
        }
        for (kind, object) in events {
            self.event(kind, object);
        }
    }

    /// A change as this watch sees it.
    fn seen(&self, change: &Change) -> Option<(&'static str, Value)> {
        let of =
            |object: &&Value| change.resource == self.asked.resource && self.pruned.has(object);
        let (before, after) = (
            change.before.as_ref().filter(of),
            change.after.as_ref().filter(of),
        );
        match (before, after) {
            (None, None) => None,
            (None, Some(after)) => Some(("ADDED", after.clone())),
            (Some(_), Some(after)) => Some(("MODIFIED", after.clone())),
            (Some(before), None) => {
                let mut last = before.clone();
                last["metadata"]["resourceVersion"] = change.version.to_string().into();
                Some(("DELETED", last))
            }
        }
    }

    fn event(&mut self, kind: &str, object: Value) {
        let object = shown(object, &self.asked, self.wrong == Some(What::Nulls));
        if self.wrong == Some(What::Garbage) {
            self.lines.push_back(Bytes::from_static(
                b"{\"type\":\"ADDED\",\"object\":{\"metadata\":nul}}\n",
            ));
            self.line("MODIFIED", &json!({"metadata": {"name": null}}));
        }
        self.line(kind, &object);
        if self.wrong == Some(What::Repeat) {
            self.line(kind, &object);
        }
    }

    fn line(&mut self, kind: &str, object: &Value) {
        let mut text = json!({"type": kind, "object": object}).to_string();
        text.push('\n');
        self.lines.push_back(text.into());
    }
}

/// A watch that is open, as long as this lives.
struct Open(Fake, String);

impl Open {
    fn new(fake: &Fake, resource: &str) -> Self {
        fake.open
            .send_modify(|open| *open.entry(resource.into()).or_default() += 1);
        Self(fake.clone(), resource.into())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| {
            if let Some(open) = open.get_mut(&self.1) {
                *open -= 1;
            }
        });
    }
}
