//! Who is asked over HTTP: discovery on its debug listener, an Envoy on its admin page.
//!
//! One request a connection, in plain HTTP/1.1: both stand on loopback, or at the end of a tunnel. An answer may be long, so
//! what is bounded is how long it may stand still.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Where an Envoy's admin page is when nothing is said.
pub(super) const ADMIN: &str = "127.0.0.1:15000";

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may stand still.
const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody who can be asked.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    address: String,
    who: &'static str,
    advice: &'static str,
}

/// An answer that was not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

impl Peer {
    /// An Envoy, by the address of its admin page.
    pub(crate) fn envoy(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            who: "Envoy",
            advice: "is the sidecar running? another address: --proxy-admin",
        }
    }

    /// Discovery, by the address of its debug listener.
    pub(crate) fn discovery(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            who: "discovery",
            advice: "is pilot-discovery running? its --debug-addr is what --discovery names",
        }
    }

    /// Where it is.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// `GET path`, as JSON.
    pub(super) async fn get_json(&self, path: &str) -> Result<Value> {
        let body = self.get(path).await?;
        serde_json::from_slice(&body).with_context(|| self.no_json(path))
    }

    /// `GET path`.
    pub(crate) async fn get(&self, path: &str) -> Result<Vec<u8>> {
        self.expect(path, self.ask(Method::GET, path).await?)
    }

    /// `POST path` without a body.
    pub(super) async fn post(&self, path: &str) -> Result<Vec<u8>> {
        self.expect(path, self.ask(Method::POST, path).await?)
    }

    /// `POST path` with a text.
    pub(crate) async fn post_text(&self, path: &str, text: String) -> Result<Vec<u8>> {
        let answer = self.send(Method::POST, path, text.into()).await?;
        self.expect(path, answer)
    }

    /// What is to be said when an answer is not what it should be.
    pub(super) fn no_json(&self, path: &str) -> String {
        format!(
            "what answers {path} at {} is no {}: {}",
            self.address, self.who, self.advice
        )
    }

    /// Sends a request and takes whatever answer there is.
    pub(super) async fn ask(&self, method: Method, path: &str) -> Result<Answer> {
        self.send(method, path, Bytes::new()).await
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Answer> {
        let (who, address, advice) = (self.who, &self.address, self.advice);
        let (stream, peer) = timeout(CONNECT, connect(address))
            .await
            .map_err(|_| anyhow!("no connection within {} s", CONNECT.as_secs()))
            .flatten()
            .map_err(|error| anyhow!("no {who} answers at {address} ({error:#}): {advice}"))?;
        let exchange = exchange(stream, peer, method, path, body);
        exchange
            .await
            .with_context(|| format!("asking {who} at {address} for {path}"))
    }

    fn expect(&self, path: &str, answer: Answer) -> Result<Vec<u8>> {
        if answer.status == StatusCode::OK {
            return Ok(answer.body);
        }
        let said = answer.text();
        let said = if said.is_empty() {
            String::new()
        } else {
            format!(": {said}")
        };
        bail!(
            "{} at {} answers {} to {path}{said}",
            self.who,
            self.address,
            answer.status
        )
    }
}

impl Answer {
    /// What the body says, in short: the `error` of JSON that has one.
    pub(super) fn text(&self) -> String {
        let parsed: Option<Value> = serde_json::from_slice(&self.body).ok();
        let text = match parsed.as_ref().and_then(|value| value["error"].as_str()) {
            Some(error) => error.to_owned(),
            None => String::from_utf8_lossy(&self.body).into_owned(),
        };
        super::table::visible(text.trim())
            .chars()
            .take(500)
            .collect()
    }
}

/// A text for a query.
pub(crate) fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

async fn connect(address: &str) -> Result<(TcpStream, SocketAddr)> {
    if !address.contains(':') {
        bail!("{address:?} is no HOST:PORT");
    }
    let mut failed = anyhow!("{address:?} has no IP address");
    for peer in tokio::net::lookup_host(address).await? {
        match TcpStream::connect(peer).await {
            Ok(stream) => return Ok((stream, peer)),
            Err(error) => failed = error.into(),
        }
    }
    Err(failed)
}

/// Names the address and no host: pages on loopback refuse names, which a web page can point anywhere.
async fn exchange(
    stream: TcpStream,
    peer: SocketAddr,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Answer> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, peer.to_string())
        .header(header::CONNECTION, "close")
        .body(Full::new(body))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with this function, and with it the connection.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = patiently(sender.send_request(request)).await??;
    let status = response.status();
    let body = read(response.into_body()).await?;
    Ok(Answer { status, body })
}

async fn read(mut body: Incoming) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(frame) = patiently(body.frame()).await? {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

async fn patiently<T>(answer: impl Future<Output = T>) -> Result<T> {
    timeout(PATIENCE, answer).await.map_err(|_| {
        anyhow!(
            "it says nothing for {} s: is the process stopped, or very busy?",
            PATIENCE.as_secs()
        )
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with `answer` and returns what was asked.
    async fn one_answer(answer: &'static str) -> (String, JoinSet<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let len = stream.read(&mut asked).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(asked.get(..len).unwrap()).into_owned()
        });
        (address, server)
    }

    #[tokio::test]
    async fn an_answer() {
        let (address, mut server) =
            one_answer("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{\"a\":1}").await;
        let page = Peer::envoy(&address).get_json("/a?b").await.unwrap();
        assert_eq!(page, serde_json::json!({ "a": 1 }));
        let asked = server.join_next().await.unwrap().unwrap();
        assert!(asked.starts_with("GET /a?b HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains(&format!("host: {address}\r\n")), "{asked}");
    }

    #[tokio::test]
    async fn errors_name_the_next_step() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let said = |error: anyhow::Error| format!("{error:#}");
        let error = said(Peer::envoy(&address).get("/").await.unwrap_err());
        assert!(
            error.starts_with(&format!(
                "no Envoy answers at {address} (Connection refused"
            )),
            "{error}"
        );
        assert!(
            error.ends_with("is the sidecar running? another address: --proxy-admin"),
            "{error}"
        );
        let error = said(Peer::discovery("somewhere").get("/").await.unwrap_err());
        assert!(error.contains("is no HOST:PORT"), "{error}");
        assert!(error.contains("--debug-addr"), "{error}");

        let (address, _server) =
            one_answer("HTTP/1.1 404 Not Found\r\ncontent-length: 17\r\n\r\n{\"error\":\"no it\"}")
                .await;
        let error = said(Peer::discovery(&address).get("/debug/x").await.unwrap_err());
        assert_eq!(
            error,
            format!("discovery at {address} answers 404 Not Found to /debug/x: no it")
        );

        let (address, _server) =
            one_answer("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhalo").await;
        let error = said(Peer::envoy(&address).get_json("/x").await.unwrap_err());
        assert!(
            error.starts_with(&format!("what answers /x at {address} is no Envoy")),
            "{error}"
        );
    }

    #[test]
    fn queries() {
        assert_eq!(encoded("a.b~c d&e/f"), "a.b~c%20d%26e%2Ff");
    }
}
