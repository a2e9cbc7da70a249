//! One open watch, notice by notice.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::failing::{Cause, Status};
use super::lines::{Line, Lines};
use super::object::{self, Metadata, Raw};
use super::request::{Failure, Source, Verb};
use super::settings::Settings;
use super::version::Version;

/// How long after the end that was asked for a server may take to end a watch.
const GRACE: Duration = Duration::from_secs(30);

/// The annotation of the bookmark after which all objects have come.
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// An open watch.
pub(super) struct Watch {
    lines: Lines,
    pub(super) opened: Instant,
    /// It must be over by then.
    pub(super) over: Instant,
}

/// What a watch says.
pub(super) enum Notice<'a> {
    Applied(Raw<'a>),
    Deleted(Metadata),
    /// Nothing happened up to this version. `initial`: all objects that there were have come.
    Bookmark {
        version: Option<Version>,
        initial: bool,
    },
    /// The server gives up.
    Error(Status),
    /// An object, and why it cannot be read.
    Unreadable(String),
    /// Something that a later version of the API may know.
    Unknown,
}

/// What comes next on a watch.
pub(super) enum Next {
    /// A line to [`read`].
    Line(Line),
    /// Nothing, until the time that was given.
    Nothing,
    /// The server has ended it.
    End,
    Broken(Cause),
}

impl Watch {
    /// Opens a watch. `length`: how long it is to be kept open.
    pub(super) async fn open(
        source: &Source,
        settings: &Settings,
        parameters: &[(&str, &str)],
        length: Duration,
    ) -> Result<Self, Failure> {
        let seconds = length.as_secs().max(1).to_string();
        let mut all = vec![
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", &seconds),
        ];
        all.extend_from_slice(parameters);
        let body = source.ask(Verb::Watch, &all, settings.answer).await?;
        let now = Instant::now();
        Ok(Self {
            lines: Lines::new(body, settings.max_object),
            opened: now,
            over: now + length + GRACE,
        })
    }

    /// What comes next, until a time.
    pub(super) async fn next(&mut self, until: Instant) -> Next {
        match timeout_at(until.min(self.over), self.lines.next()).await {
            Err(_) => Next::Nothing,
            Ok(Ok(Some(line))) => Next::Line(line),
            Ok(Ok(None)) => Next::End,
            Ok(Err(why)) => Next::Broken(why),
        }
    }
}

/// A line of a watch.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: Option<Metadata>,
}

/// What a line says.
pub(super) fn read(line: &Line) -> Notice<'_> {
    let Line::Text(text) = line else {
        return Notice::Unreadable("it is too large".into());
    };
    let written: Written<'_> = match serde_json::from_slice(text) {
        Ok(written) => written,
        Err(error) => return Notice::Unreadable(error.to_string()),
    };
    match &*written.kind {
        "ADDED" | "MODIFIED" => match object::object(written.object) {
            Ok(raw) => Notice::Applied(raw),
            Err(why) => Notice::Unreadable(why),
        },
        "DELETED" => match object::object(written.object) {
            Ok(raw) => Notice::Deleted(raw.metadata),
            Err(why) => Notice::Unreadable(why),
        },
        "BOOKMARK" => {
            let read = serde_json::from_str::<Bookmark>(written.object.get()).ok();
            let metadata = read
                .and_then(|bookmark| bookmark.metadata)
                .unwrap_or_default();
            Notice::Bookmark {
                version: metadata.version(),
                initial: metadata
                    .annotations
                    .get(INITIAL_END)
                    .is_some_and(|end| end == "true"),
            }
        }
        "ERROR" => Notice::Error(serde_json::from_str(written.object.get()).unwrap_or_default()),
        _ => Notice::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_one_by_one_and_bad_ones_cost_only_themselves() {
        let check = |text: &str, expected: &str| {
            let line = Line::Text(text.to_owned().into());
            let found = match read(&line) {
                Notice::Applied(raw) => format!("applied {} {}", raw.metadata.name, raw.text),
                Notice::Deleted(metadata) => format!("deleted {}", metadata.name),
                Notice::Bookmark { version, initial } => format!("bookmark {version:?} {initial}"),
                Notice::Error(status) => format!("error {} {}", status.code, status.shown()),
                Notice::Unreadable(why) => format!("unreadable {why}"),
                Notice::Unknown => "unknown".into(),
            };
            assert!(found.starts_with(expected), "{text}: {found}");
        };
        let web = r#"{"metadata":{"name":"web"}}"#;
        check(
            &format!(r#"{{"type":"ADDED","object":{web}}}"#),
            &format!("applied web {web}"),
        );
        check(
            &format!(r#"{{"object":{web},"type":"MODIFIED"}}"#),
            &format!("applied web {web}"),
        );
        check(
            &format!(r#"{{"type":"DELETED","object":{web}}}"#),
            "deleted web",
        );
        check(
            r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"5"}}}"#,
            r#"bookmark Some(Version("5")) false"#,
        );
        check(
            r#"{"type":"BOOKMARK","object":{"metadata":{"annotations":{"k8s.io/initial-events-end":"true"}}}}"#,
            "bookmark None true",
        );
        check(
            r#"{"type":"BOOKMARK","object":null}"#,
            "bookmark None false",
        );
        check(
            r#"{"type":"ERROR","object":{"code":410,"reason":"Expired"}}"#,
            "error 410 Expired",
        );
        check(
            r#"{"type":"ERROR","object":null}"#,
            "error 0 no reason given",
        );
        check(
            r#"{"type":"ADDED","object":{"metadata":null}}"#,
            "unreadable it has no metadata",
        );
        check(r#"{"type":"ADDED"}"#, "unreadable missing field `object`");
        check(r#"{"type":"ADDED","object":{"#, "unreadable EOF");
        check(&format!(r#"{{"type":"LATER","object":{web}}}"#), "unknown");
    }
}
