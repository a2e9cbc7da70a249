//! Lists as streams: a watch that begins with all objects, and says when they have come.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::failing::{Cause, WatchError};
use super::list::Listed;
use super::object::{Metadata, Raw};
use super::request::{Failure, Source, Verb};
use super::settings::Settings;
use super::stream::{Next, Notice, Watch, read as read_line};

/// Why there is no such list.
pub(super) enum Aborted {
    /// The server does not know such lists.
    Unknown,
    /// It refuses this one: another kind of list may work.
    Refused,
    Failed(Failure),
}

/// Reads a list as a stream. The watch goes on after it.
///
/// Objects are kept by name until the end, as one may change or go while the others come. All lists are asked to be as new as the
/// store of the cluster: servers that have such lists answer them from memory.
pub(super) async fn read<T>(
    source: &Source,
    settings: &Settings,
    length: Duration,
    convert: &impl Fn(Raw<'_>) -> T,
) -> Result<(Listed<T>, Watch), Aborted> {
    let parameters = [
        ("sendInitialEvents", "true"),
        ("resourceVersionMatch", "NotOlderThan"),
    ];
    let opened = Watch::open(source, settings, &parameters, length).await;
    let mut watch = opened.map_err(refused)?;
    let mut objects = BTreeMap::new();
    let mut unreadable = Vec::new();
    loop {
        let line = match watch.next(Instant::now() + settings.pause).await {
            Next::Line(line) => line,
            // One that does not know the parameters has sent all objects, and does not say so.
            Next::Nothing => return Err(Aborted::Unknown),
            Next::End => return Err(broken(source, None)),
            Next::Broken(why) => return Err(broken(source, Some(why))),
        };
        match read_line(&line) {
            Notice::Applied(raw) => {
                objects.insert(key(&raw.metadata), convert(raw));
            }
            Notice::Deleted(metadata) => {
                objects.remove(&key(&metadata));
            }
            Notice::Bookmark {
                version: Some(version),
                initial: true,
            } => {
                let listed = Listed {
                    objects: objects.into_values().collect(),
                    version,
                    unreadable,
                };
                return Ok((listed, watch));
            }
            Notice::Error(status) => return Err(refused(source.refused(Verb::List, &status))),
            Notice::Unreadable(why) => unreadable.push(WatchError::Object {
                asked: source.asked(Verb::List),
                why,
            }),
            Notice::Bookmark { .. } | Notice::Unknown => {}
        }
        if objects.len() > settings.max_objects {
            let error = WatchError::TooMany {
                asked: source.asked(Verb::List),
                most: settings.max_objects,
            };
            return Err(Aborted::Failed(error.into()));
        }
    }
}

fn key(metadata: &Metadata) -> (String, String) {
    (metadata.namespace.clone(), metadata.name.clone())
}

fn broken(source: &Source, why: Option<Cause>) -> Aborted {
    let error = WatchError::Broken {
        asked: source.asked(Verb::List),
        source: why,
    };
    Aborted::Failed(error.into())
}

/// What a refusal says about such lists.
fn refused(failure: Failure) -> Aborted {
    match failure.status() {
        Some(
            StatusCode::BAD_REQUEST
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::NOT_IMPLEMENTED,
        ) => Aborted::Unknown,
        Some(StatusCode::FORBIDDEN) => Aborted::Refused,
        _ => Aborted::Failed(failure),
    }
}
