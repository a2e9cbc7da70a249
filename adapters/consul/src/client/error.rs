//! Why a request failed.

use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

use super::tls;

/// How much of a body is shown.
const SHOWN: usize = 200;

/// Why a request failed.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no connection.
    #[error("{request}: {address} cannot be reached{}", tls::hint(&**source))]
    Connect {
        /// Method and path.
        request: String,
        /// Who was to be reached.
        address: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no answer, or it stopped coming.
    #[error("{request}: no whole answer within {after:?}")]
    Timeout {
        /// Method and path.
        request: String,
        /// How long was waited.
        after: Duration,
    },
    /// Consul says no.
    #[error("{request}: {status}: {}", shown(body))]
    Status {
        /// Method and path.
        request: String,
        /// The status.
        status: StatusCode,
        /// What it says.
        body: String,
    },
    /// The answer broke off.
    #[error("{request}: the answer broke off")]
    Body {
        /// Method and path.
        request: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer is not what the API promises.
    #[error("{request}: the answer cannot be read")]
    Decode {
        /// Method and path.
        request: String,
        /// Why.
        source: serde_json::Error,
    },
    /// What was to be asked is no request.
    #[error("{request}: {why}")]
    Request {
        /// Method and path.
        request: String,
        /// Why.
        why: String,
    },
}

impl Error {
    /// The status, if there was an answer that has one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the servers have no leader: nothing can be said about the catalog until they have.
    pub fn is_leaderless(&self) -> bool {
        matches!(self, Self::Status { body, .. } if body.contains("No cluster leader"))
    }

    /// Whether the token is missing, unknown, or lacks rights.
    pub fn is_denied(&self) -> bool {
        matches!(
            self.status(),
            Some(StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED)
        )
    }
}

/// The beginning of a text, on one line.
fn shown(body: &str) -> String {
    let text = body.trim();
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
