//! Why a resource cannot be followed.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use thiserror::Error;

use super::object::lenient;

/// How much of a server's words is shown.
const SHOWN: usize = 300;

/// The error that a connection or kube's client reports.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a resource cannot be followed. Each names what was asked for: the verb, the resource and the namespace.
#[derive(Debug, Error)]
pub enum WatchError {
    /// There is no connection, or no credentials.
    #[error("{asked}: the API server cannot be asked")]
    Unreachable {
        /// What was asked for.
        asked: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no answer, or it stopped coming.
    #[error("{asked}: the API server has said nothing for {after:?}")]
    Silent {
        /// What was asked for.
        asked: String,
        /// How long was waited.
        after: Duration,
    },
    /// The answer broke off.
    #[error("{asked}: the answer broke off")]
    Broken {
        /// What was asked for.
        asked: String,
        /// Why; without, it ended too early.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The server says no.
    #[error("{asked}: {status}: {message}{hint}")]
    Refused {
        /// What was asked for.
        asked: String,
        /// Its status.
        status: StatusCode,
        /// What it says.
        message: String,
        /// What to do about it, if that is known.
        hint: String,
    },
    /// The answer is not what the API promises.
    #[error("{asked}: the answer cannot be read: {why}")]
    Nonsense {
        /// What was asked for.
        asked: String,
        /// Why not.
        why: String,
    },
    /// There are more objects than are read.
    #[error(
        "{asked}: there are more than {most} objects; narrow what is read by namespaces or labels"
    )]
    TooMany {
        /// What was asked for.
        asked: String,
        /// How many are read.
        most: usize,
    },
    /// One object cannot be read.
    #[error("{asked}: an object cannot be read: {why}")]
    Object {
        /// What was asked for.
        asked: String,
        /// Why not.
        why: String,
    },
}

impl WatchError {
    /// The server's status, if it refuses.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether rights or credentials are missing.
    pub fn is_denied(&self) -> bool {
        matches!(
            self.status(),
            Some(StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED)
        )
    }

    /// What tells one cause from another: words change with every attempt.
    pub(super) fn cause(&self) -> (std::mem::Discriminant<Self>, Option<StatusCode>) {
        (std::mem::discriminant(self), self.status())
    }
}

/// What a server says instead of what it was asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status {
    #[serde(deserialize_with = "lenient")]
    pub(super) code: u16,
    #[serde(deserialize_with = "lenient")]
    pub(super) reason: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) message: String,
    #[serde(deserialize_with = "lenient")]
    details: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    #[serde(deserialize_with = "lenient")]
    retry_after_seconds: u32,
    #[serde(deserialize_with = "lenient")]
    causes: Vec<Reason>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reason {
    #[serde(deserialize_with = "lenient")]
    reason: String,
}

impl Status {
    /// What a refusing answer says: a status of the API, or whatever else stands there.
    pub(super) fn of(code: StatusCode, body: &[u8]) -> Self {
        let read = serde_json::from_slice::<Self>(body).ok();
        let mut status = read.unwrap_or_else(|| Self {
            message: String::from_utf8_lossy(body).into_owned(),
            ..Self::default()
        });
        status.code = code.as_u16();
        status
    }

    /// The status as HTTP has it.
    pub(super) fn http(&self) -> StatusCode {
        StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// How long the server wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.details.retry_after_seconds;
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    }

    /// Whether the version that was asked for is no good any more, or not yet: only a list gives another one.
    pub(super) fn is_of_the_version(&self) -> bool {
        let expired =
            self.http() == StatusCode::GONE || matches!(self.reason.as_str(), "Expired" | "Gone");
        let causes = &self.details.causes;
        let ahead = causes
            .iter()
            .any(|cause| cause.reason == "ResourceVersionTooLarge")
            || self.message.contains("Too large resource version");
        expired || ahead
    }

    /// What it says, on one line of bearable length.
    pub(super) fn shown(&self) -> String {
        let text = match (self.message.trim(), self.reason.trim()) {
            ("", "") => "no reason given",
            ("", reason) => reason,
            (message, _) => message,
        };
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let mut shown: String = text.chars().take(SHOWN).map(plain).collect();
        if text.chars().nth(SHOWN).is_some() {
            shown.push('…');
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_whatever_stands_there() {
        let check = |code: u16, body: &str, shown: &str, retry: Option<u64>, version: bool| {
            let status = Status::of(StatusCode::from_u16(code).unwrap(), body.as_bytes());
            assert_eq!(status.http().as_u16(), code, "{body}");
            assert_eq!(status.shown(), shown, "{body}");
            assert_eq!(
                status.retry_after(),
                retry.map(Duration::from_secs),
                "{body}"
            );
            assert_eq!(status.is_of_the_version(), version, "{body}");
        };
        check(
            404,
            "404 page not found\n",
            "404 page not found",
            None,
            false,
        );
        check(500, "", "no reason given", None, false);
        check(
            429,
            r#"{"reason": "TooManyRequests", "details": {"retryAfterSeconds": 3}}"#,
            "TooManyRequests",
            Some(3),
            false,
        );
        check(
            410,
            r#"{"message": "too old", "details": null, "code": null}"#,
            "too old",
            None,
            true,
        );
        check(
            500,
            r#"{"message": "too old", "reason": "Expired"}"#,
            "too old",
            None,
            true,
        );
        check(
            504,
            r#"{"message": "x", "details": {"causes": [{"reason": "ResourceVersionTooLarge"}]}}"#,
            "x",
            None,
            true,
        );
        check(
            504,
            r#"{"message": "Timeout: Too large resource version: 9, current: 7"}"#,
            "Timeout: Too large resource version: 9, current: 7",
            None,
            true,
        );
        check(503, "a\nb", "a b", None, false);
    }
}
