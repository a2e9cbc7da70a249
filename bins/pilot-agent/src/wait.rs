//! `pilot-agent wait`: returns when the proxy is ready, so that an application can be started after it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use http::{Method, Uri};
use tokio::net::lookup_host;
use tokio::time::{Instant, sleep, timeout_at};

use crate::fetch;

/// What is waited for.
#[derive(Debug, Clone, Args)]
pub struct WaitArgs {
    /// How many seconds to wait at most
    #[arg(long, aliases = ["timeoutSeconds"], default_value_t = 60, value_name = "SECONDS")]
    pub timeout_seconds: u64,
    /// How many milliseconds one request may take
    #[arg(long, aliases = ["requestTimeoutMillis"], default_value_t = 500, value_name = "MILLISECONDS")]
    pub request_timeout_millis: u64,
    /// How many milliseconds to wait between two requests
    #[arg(long, aliases = ["periodMillis"], default_value_t = 500, value_name = "MILLISECONDS")]
    pub period_millis: u64,
    /// The page that says that the proxy is ready
    #[arg(long, default_value = "http://localhost:15021/healthz/ready")]
    pub url: Uri,
}

impl WaitArgs {
    /// Waits.
    ///
    /// # Errors
    /// The proxy is not ready in time; the error says what it said last.
    pub async fn run(self) -> Result<()> {
        ensure!(
            self.url.scheme_str() == Some("http"),
            "{} is not asked over plain HTTP; write it as http://localhost:15021/healthz/ready",
            self.url
        );
        let patience = Duration::from_secs(self.timeout_seconds);
        let deadline = Instant::now() + patience;
        loop {
            let last = match timeout_at(deadline, self.ask()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => format!("{error:#}"),
                Err(_) => "no answer".into(),
            };
            tracing::debug!(last, "not ready yet");
            let pause = Duration::from_millis(self.period_millis.max(1));
            if Instant::now() + pause >= deadline {
                bail!("not ready within {patience:?}: {}: {last}", self.url);
            }
            sleep(pause).await;
        }
    }

    async fn ask(&self) -> Result<()> {
        let authority = self.url.authority().context("the URL has no host")?;
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let port = authority.port_u16().unwrap_or(80);
        let path = self.url.path_and_query().map_or("/", |path| path.as_str());
        let within = Duration::from_millis(self.request_timeout_millis);
        let mut last = None;
        // A name such as localhost has several addresses, of which one may be in use.
        for at in lookup_host((host, port))
            .await
            .context("looking the host up")?
        {
            let request = fetch::request(Method::GET, authority.as_str(), path)?;
            match fetch::send(at, request, within).await {
                Ok(answer) if answer.status.is_success() => return Ok(()),
                Ok(answer) => bail!("{}: {}", answer.status, answer.body.trim()),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) => Err(error.into()),
            None => bail!("{host} has no address"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use clap::Parser;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        wait: WaitArgs,
    }

    /// Waits for a page that is ready when it is asked for the third time, or never.
    async fn wait(flags: &[&str], ever: bool) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/healthz/ready", listener.local_addr()?);
        let asked = Arc::new(AtomicU32::new(0));
        let page = get(move || {
            let ready = ever && asked.fetch_add(1, Ordering::Relaxed) >= 2;
            std::future::ready(match ready {
                true => (StatusCode::OK, "ready"),
                false => (StatusCode::SERVICE_UNAVAILABLE, "not ready: no listeners"),
            })
        });
        let mut tasks = JoinSet::new();
        let router = Router::new().route("/healthz/ready", page);
        tasks.spawn(async move { axum::serve(listener, router).await });
        let line = ["wait", "--url", &url]
            .into_iter()
            .chain(flags.iter().copied());
        Line::try_parse_from(line)?.wait.run().await
    }

    #[tokio::test]
    async fn it_returns_when_the_proxy_is_ready() {
        wait(&["--periodMillis", "1"], true).await.unwrap();
    }

    #[tokio::test]
    async fn it_gives_up_with_the_reason() {
        let error = wait(&["--timeoutSeconds", "0"], false).await.unwrap_err();
        assert!(
            error.to_string().contains("not ready within 0ns"),
            "{error}"
        );
        let error = wait(&["--timeout-seconds", "1", "--period-millis", "100"], false)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("no listeners"), "{error}");
    }
}
