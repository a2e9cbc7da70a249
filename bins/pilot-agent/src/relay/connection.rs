//! The connection to discovery, as streams use it.

use std::sync::Arc;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;

use super::health::Health;
use super::requests::Requests;

/// A connection that is open, or was a moment ago. Clones are the same connection.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub(super) sender: SendRequest<Requests>,
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    pub(super) health: Arc<Health>,
}

/// Why a stream could not be opened.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// Nothing of it was sent; it can go elsewhere.
    Unsent(Box<Request<Requests>>),
    /// It may have been sent.
    Lost(hyper::Error),
}

impl Connection {
    /// Whether streams can still be opened.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Opens a stream, and waits until discovery has answered with headers.
    pub(super) async fn open(
        &mut self,
        mut request: Request<Requests>,
    ) -> Result<Response<Incoming>, NotOpened> {
        let path = request.uri().path_and_query().cloned();
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(self.scheme.clone());
        uri.authority = Some(self.authority.clone());
        uri.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        if let Ok(uri) = Uri::from_parts(uri) {
            *request.uri_mut() = uri;
        }
        match self.sender.try_send_request(request).await {
            Ok(response) => Ok(response),
            Err(mut error) => Err(match error.take_message() {
                Some(request) => NotOpened::Unsent(Box::new(request)),
                None => NotOpened::Lost(error.into_error()),
            }),
        }
    }
}
