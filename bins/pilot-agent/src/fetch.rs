//! One HTTP/1.1 request over one fresh connection: for Envoy's admin page, for the application beside it, and for this
//! agent's own pages when a command asks them.
//!
//! There is no pool and no retry: callers ask rarely, and what they want to know is whether this one request succeeds.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The longest answer that [`send`] keeps in memory.
const LIMIT: usize = 4 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody listens there, or nobody can be reached.
    #[error("cannot connect to {0}")]
    Connect(SocketAddr, #[source] io::Error),
    /// It takes too long.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// It is no HTTP, or ended early.
    #[error("the exchange broke off")]
    Broken(#[source] hyper::Error),
    /// It is longer than what is kept in memory.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

/// What came back, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// The body, with what is no UTF-8 replaced.
    pub body: String,
}

/// A body that is read in pieces. Its connection ends with it.
#[derive(Debug)]
pub struct Body {
    incoming: Incoming,
    _driver: JoinSet<Result<(), hyper::Error>>,
}

impl Body {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The peer broke off.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, FetchError>> {
        loop {
            match self.incoming.frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => return Some(Ok(data)),
                    Err(_trailers) => {}
                },
                Err(error) => return Some(Err(FetchError::Broken(error))),
            }
        }
    }

    /// All of it, if it is no longer than `limit`.
    ///
    /// # Errors
    /// It is longer, or the peer broke off.
    pub async fn text(mut self, limit: usize) -> Result<String, FetchError> {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await {
            all.extend_from_slice(&chunk?);
            if all.len() > limit {
                return Err(FetchError::TooLong(limit));
            }
        }
        Ok(String::from_utf8_lossy(&all).into_owned())
    }
}

/// A request without a body, for `path` and its query, under the authority `host`.
///
/// # Errors
/// One of them cannot stand in a request.
pub fn request(
    method: Method,
    host: &str,
    path: &str,
) -> Result<Request<Full<Bytes>>, http::Error> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, HeaderValue::from_str(host)?)
        .body(Full::default())
}

/// Sends `request` to `at` and reads the whole answer, which may take `within`.
///
/// # Errors
/// There is none.
pub async fn send(
    at: SocketAddr,
    request: Request<Full<Bytes>>,
    within: Duration,
) -> Result<Answer, FetchError> {
    let exchange = async {
        let stream = TcpStream::connect(at)
            .await
            .map_err(|error| FetchError::Connect(at, error))?;
        let (head, body) = over(stream, request).await?.into_parts();
        Ok(Answer {
            status: head.status,
            body: body.text(LIMIT).await?,
        })
    };
    timeout(within, exchange)
        .await
        .unwrap_or(Err(FetchError::TimedOut(within)))
}

/// Sends `request` over a connection that is open already and returns when the head of the answer is there.
///
/// # Errors
/// The peer broke off or speaks no HTTP/1.1.
pub async fn over(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Response<Body>, FetchError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(FetchError::Broken)?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender
        .send_request(request)
        .await
        .map_err(FetchError::Broken)?;
    Ok(response.map(|incoming| Body {
        incoming,
        _driver: driver,
    }))
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    /// A peer that says this to whatever it is asked.
    async fn peer(tasks: &mut JoinSet<()>, says: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tasks.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            stream.write_all(says).await.unwrap();
            if says.is_empty() {
                std::future::pending::<()>().await;
            }
        });
        at
    }

    async fn ask(says: &'static [u8], within: Duration) -> Result<Answer, FetchError> {
        let mut tasks = JoinSet::new();
        let at = peer(&mut tasks, says).await;
        send(at, request(Method::GET, "a", "/b?c").unwrap(), within).await
    }

    #[tokio::test]
    async fn an_answer_is_its_status_and_body() {
        let answer = ask(b"HTTP/1.1 503 No\r\ncontent-length: 5\r\n\r\nnever", SOON)
            .await
            .unwrap();
        assert_eq!(
            answer,
            Answer {
                status: StatusCode::SERVICE_UNAVAILABLE,
                body: "never".into()
            }
        );
    }

    #[tokio::test]
    async fn what_is_missing_is_told_apart() {
        let unfinished = ask(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nne", SOON).await;
        assert!(
            matches!(unfinished, Err(FetchError::Broken(_))),
            "{unfinished:?}"
        );
        let silent = ask(b"", Duration::from_millis(20)).await;
        assert!(matches!(silent, Err(FetchError::TimedOut(_))), "{silent:?}");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        drop(listener);
        let error = send(at, request(Method::GET, "a", "/").unwrap(), SOON)
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), format!("cannot connect to {at}"));
        assert!(error.source().unwrap().to_string().contains("refused"));
    }

    #[tokio::test]
    async fn a_long_answer_is_not_kept() {
        let mut tasks = JoinSet::new();
        let at = peer(
            &mut tasks,
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nnever",
        )
        .await;
        let stream = TcpStream::connect(at).await.unwrap();
        let response = over(stream, request(Method::GET, "a", "/").unwrap())
            .await
            .unwrap();
        let text = response.into_body().text(4).await;
        assert!(matches!(text, Err(FetchError::TooLong(4))), "{text:?}");
    }
}
