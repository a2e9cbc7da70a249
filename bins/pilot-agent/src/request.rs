//! `pilot-agent request`: asks a page of the Envoy, or the agent, on this machine; for people and for lifecycle hooks.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use http::Method;
use http_body_util::Full;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fetch;

/// How long the head of the answer may take; a long page may take longer.
const WITHIN: Duration = Duration::from_secs(30);

/// What is asked.
#[derive(Debug, Clone, Args)]
pub struct RequestArgs {
    /// The method, such as GET or POST
    #[arg(value_parser = method)]
    pub method: Method,
    /// The path on Envoy's admin page, such as clusters?format=json
    pub path: String,
    /// The body
    pub body: Option<String>,
    /// The port on loopback: 15000 is Envoy's admin page, 15020 the agent's pages
    #[arg(long, aliases = ["debugPort"], default_value_t = 15000, value_name = "PORT")]
    pub debug_port: u16,
}

impl RequestArgs {
    /// Prints the answer.
    ///
    /// # Errors
    /// There is none, or its status is not one of success; then the answer is in the error.
    pub async fn run(self) -> Result<()> {
        self.ask(&mut io::stdout()).await
    }

    async fn ask(self, out: &mut impl Write) -> Result<()> {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, self.debug_port));
        let path = format!("/{}", self.path.trim_start_matches('/'));
        let mut request = fetch::request(self.method, &at.to_string(), &path)
            .with_context(|| format!("{path:?} is no path"))?;
        *request.body_mut() = Full::new(Bytes::from(self.body.unwrap_or_default()));
        let exchange = async {
            let stream = TcpStream::connect(at)
                .await
                .with_context(|| format!("nobody answers on {at}: is the proxy running?"))?;
            anyhow::Ok(fetch::over(stream, request).await?)
        };
        let response = timeout(WITHIN, exchange)
            .await
            .with_context(|| format!("{at} does not answer within {WITHIN:?}"))??;
        let (head, mut body) = response.into_parts();
        if !head.status.is_success() {
            let text = body.text(1 << 20).await.unwrap_or_default();
            bail!("{at}{path} answers {}: {}", head.status, text.trim());
        }
        while let Some(chunk) = body.chunk().await {
            match out.write_all(&chunk?) {
                Ok(()) => {}
                // Who reads has seen enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => return Err(error).context("printing the answer"),
            }
        }
        out.flush().context("printing the answer")
    }
}

fn method(text: &str) -> Result<Method, String> {
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
    ];
    known
        .into_iter()
        .find(|method| method.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| "write GET, POST, PUT, DELETE or HEAD".into())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::{get, post};
    use clap::Parser;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        request: RequestArgs,
    }

    async fn ask(line: &[&str]) -> Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port().to_string();
        let router = Router::new()
            .route("/clusters", get(async || "none\n"))
            .route("/logging", post(async |body: String| body.to_uppercase()));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await });
        let mut out = Vec::new();
        let line = ["request", "--debug-port", &port]
            .into_iter()
            .chain(line.iter().copied());
        Line::try_parse_from(line)?.request.ask(&mut out).await?;
        Ok(String::from_utf8(out)?)
    }

    #[tokio::test]
    async fn the_answer_is_printed() {
        assert_eq!(ask(&["GET", "clusters"]).await.unwrap(), "none\n");
        assert_eq!(ask(&["post", "/logging", "debug"]).await.unwrap(), "DEBUG");
    }

    #[tokio::test]
    async fn a_refusal_is_an_error() {
        let error = ask(&["GET", "nothing"]).await.unwrap_err().to_string();
        assert!(error.contains("/nothing answers 404"), "{error}");
        assert!(ask(&["FETCH", "clusters"]).await.is_err());
    }
}
