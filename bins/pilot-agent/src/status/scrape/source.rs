//! One page of metrics, asked for and read in pieces.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::exposition::Format;
use crate::fetch::{self, Body};

/// Where a page is.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: &'static str,
    /// The first of these that takes a connection.
    pub(super) at: Vec<SocketAddr>,
    pub(super) path: String,
}

/// A page whose head is there.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) name: &'static str,
    pub(super) format: Format,
    body: Body,
}

impl Source {
    /// Asks for it, in the wanted format if it has that.
    pub(super) async fn ask(&self, wanted: Format, deadline: Instant) -> Result<Page> {
        timeout_at(deadline, self.exchange(wanted, deadline))
            .await
            .context("no answer in the scraper's time")?
    }

    async fn exchange(&self, wanted: Format, deadline: Instant) -> Result<Page> {
        let stream = TcpStream::connect(self.at.as_slice())
            .await
            .context("connecting")?;
        let host = stream
            .peer_addr()
            .context("asking for the peer")?
            .to_string();
        let mut request = fetch::request(Method::GET, &host, &self.path)?;
        let left = deadline.saturating_duration_since(Instant::now());
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static(wanted.accept()));
        headers.insert(
            "x-prometheus-scrape-timeout-seconds",
            HeaderValue::from_str(&left.as_secs_f64().to_string())?,
        );
        let response = fetch::over(stream, request).await?;
        ensure!(
            response.status().is_success(),
            "it answers {}",
            response.status()
        );
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let Some(format) = Format::of(content_type) else {
            bail!("it answers {content_type:?}, which is no text of metrics");
        };
        Ok(Page {
            name: self.name,
            format,
            body: response.into_body(),
        })
    }
}

impl Page {
    /// The next piece of it.
    pub(super) async fn chunk(&mut self, deadline: Instant) -> Option<Result<Bytes>> {
        match timeout_at(deadline, self.body.chunk()).await {
            Ok(chunk) => Some(chunk?.map_err(Into::into)),
            Err(_) => Some(Err(anyhow::anyhow!("it did not end in the scraper's time"))),
        }
    }
}
