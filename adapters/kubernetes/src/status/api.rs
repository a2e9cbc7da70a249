//! Single requests to the API server, with JSON in and out. Each has its time; what fails says on what.

use std::time::Duration;

use http::{Method, Request};
use kube::Client;
use serde_json::Value;
use thiserror::Error;

/// The way to the server.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    /// How long an answer may take.
    within: Duration,
}

/// Why a request has not done what it was to do.
#[derive(Debug, Error)]
pub(super) enum ApiError {
    /// The server says no.
    #[error("{what}: {code} {reason}: {message}")]
    Refused {
        /// Method and path.
        what: String,
        /// Of HTTP.
        code: u16,
        /// In a word.
        reason: String,
        /// In a sentence.
        message: String,
    },
    /// There is no answer that could be read.
    #[error("{what}: {why}")]
    Failed {
        /// Method and path.
        what: String,
        /// What is known of it.
        why: String,
    },
}

impl ApiError {
    /// The code of an answer; 0 where there is none.
    pub(super) fn code(&self) -> u16 {
        match self {
            Self::Refused { code, .. } => *code,
            Self::Failed { .. } => 0,
        }
    }
}

/// How a change of an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patch {
    /// These fields are to be so, and belong to whom the request names; never against another owner.
    Apply,
    /// These fields are replaced.
    Merge,
}

impl Patch {
    fn content_type(self) -> &'static str {
        match self {
            // JSON is YAML.
            Self::Apply => "application/apply-patch+yaml",
            Self::Merge => "application/merge-patch+json",
        }
    }
}

impl Api {
    pub(super) fn new(client: Client, within: Duration) -> Self {
        Self { client, within }
    }

    /// The object at `path`; `None` where there is none.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Value>, ApiError> {
        match self.send(Method::GET, path, "", None).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.code() == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds an object to the collection at `path`.
    pub(super) async fn create(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        self.send(Method::POST, path, "application/json", Some(object))
            .await
    }

    /// Replaces the object at `path`.
    pub(super) async fn replace(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        self.send(Method::PUT, path, "application/json", Some(object))
            .await
    }

    /// Changes the object at `path` in the name of `manager`.
    pub(super) async fn patch(
        &self,
        path: &str,
        manager: &str,
        patch: Patch,
        change: &Value,
    ) -> Result<Value, ApiError> {
        let path = format!("{path}?fieldManager={manager}");
        self.send(Method::PATCH, &path, patch.content_type(), Some(change))
            .await
    }

    /// Removes the object at `path`, if it is there.
    pub(super) async fn delete(&self, path: &str) -> Result<(), ApiError> {
        match self.send(Method::DELETE, path, "", None).await {
            Err(error) if error.code() != 404 => Err(error),
            _ => Ok(()),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<&Value>,
    ) -> Result<Value, ApiError> {
        let what = || format!("{method} {}", path.split('?').next().unwrap_or(path));
        let failed = |why: String| ApiError::Failed { what: what(), why };
        let mut request = Request::builder().method(method.clone()).uri(path);
        if body.is_some() {
            request = request.header(http::header::CONTENT_TYPE, content_type);
        }
        let body = body.map(Value::to_string).unwrap_or_default().into_bytes();
        let request = request
            .body(body)
            .map_err(|error| failed(error.to_string()))?;
        let answer = tokio::time::timeout(self.within, self.client.request::<Value>(request));
        match answer.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(kube::Error::Api(status))) => Err(ApiError::Refused {
                what: what(),
                code: status.code,
                reason: status.reason,
                message: status.message,
            }),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("no answer within {:?}", self.within))),
        }
    }
}
