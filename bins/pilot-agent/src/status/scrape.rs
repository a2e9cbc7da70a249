//! Everybody's metrics on one page: the application's, Envoy's, the agent's.
//!
//! Pages are passed on line by line while they arrive, so a large one is never held. A source that fails, even halfway, costs
//! the others nothing: it is counted, and the agent's own page comes last and tells of it.

mod exposition;
mod source;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, header};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use serde::Deserialize;
use tokio::time::Instant;

use exposition::{Format, Writer};
use source::{Page, Source};

/// A scraper that does not say how long it waits is taken for one that waits so long.
const WITHIN: Duration = Duration::from_secs(10);
/// So much of its patience is left for the way back.
const MARGIN: Duration = Duration::from_millis(500);

/// Where the application has metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrape {
    /// Its port.
    pub port: u16,
    /// Its path.
    pub path: String,
}

impl Scrape {
    /// Reads what injection puts into `ISTIO_PROMETHEUS_ANNOTATIONS`, where the pod is to be scraped at all.
    ///
    /// # Errors
    /// It is wrong.
    pub fn parse(json: &str) -> Result<Option<Self>, String> {
        #[derive(Deserialize)]
        struct Written {
            #[serde(default)]
            scrape: String,
            #[serde(default)]
            path: String,
            #[serde(default)]
            port: String,
        }
        if json.trim().is_empty() {
            return Ok(None);
        }
        let written: Written = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if written.scrape != "true" {
            return Ok(None);
        }
        let port = match written.port.as_str() {
            "" => 80,
            port => port.parse().map_err(|_| format!("{port:?} is no port"))?,
        };
        Ok(Some(Self {
            port,
            path: format!(
                "/{}",
                match written.path.as_str() {
                    "" => "metrics",
                    path => path.trim_start_matches('/'),
                }
            ),
        }))
    }

    /// Whether the application's metrics are elsewhere than the agent's, which would ask itself for ever.
    pub(super) fn is_not(&self, port: u16) -> bool {
        if self.port == port {
            tracing::warn!(
                port,
                "prometheus.io/port is the agent's own port: the application's metrics are left out"
            );
        }
        self.port != port
    }
}

/// Puts pages together.
pub(super) struct Merge {
    application: Option<Source>,
    envoy: Option<Source>,
    registry: Arc<Registry>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    scrapes: Counter,
    failures: Family<From, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct From {
    r#type: &'static str,
}

impl Merge {
    pub(super) fn new(
        scrape: Option<Scrape>,
        application: IpAddr,
        envoy: Option<SocketAddr>,
        mut registry: Registry,
    ) -> Self {
        let counters = Arc::new(Counters::default());
        registry.register(
            "istio_agent_scrapes",
            "Scrapes of the merged page",
            counters.scrapes.clone(),
        );
        registry.register(
            "istio_agent_scrape_failures",
            "Sources that a scrape could not have, or not whole",
            counters.failures.clone(),
        );
        // Applications listen on loopback, on the pod's address, or on all.
        let places = |port| {
            [
                Ipv4Addr::LOCALHOST.into(),
                application,
                Ipv6Addr::LOCALHOST.into(),
            ]
            .map(|ip| SocketAddr::new(ip, port))
            .to_vec()
        };
        Self {
            application: scrape.map(|scrape| Source {
                name: "application",
                at: places(scrape.port),
                path: scrape.path,
            }),
            envoy: envoy.map(|at| Source {
                name: "envoy",
                at: vec![at],
                path: "/stats/prometheus".into(),
            }),
            registry: Arc::new(registry),
            counters,
        }
    }

    /// The page, for a scraper with these headers.
    pub(super) async fn scrape(&self, headers: &HeaderMap) -> Response {
        self.counters.scrapes.inc();
        let wanted = Format::wanted(headers);
        let deadline = Instant::now() + patience(headers);
        let ask = async |source: &Option<Source>| match source {
            None => None,
            Some(source) => match source.ask(wanted, deadline).await {
                Ok(page) => Some(page),
                Err(error) => {
                    self.counters.failed(source.name, &error);
                    None
                }
            },
        };
        let (application, envoy) = tokio::join!(ask(&self.application), ask(&self.envoy));
        // Only the application's page can be more than text: then it is worth writing the others' like it.
        let format = match &application {
            Some(page) if page.format == Format::OpenMetrics => wanted,
            _ => Format::Text,
        };
        let merging = Merging {
            pages: application.into_iter().chain(envoy).collect(),
            writer: Some(Writer::new(format)),
            registry: Arc::clone(&self.registry),
            deadline,
            counters: Arc::clone(&self.counters),
        };
        let body = stream::unfold(merging, async |merging| {
            let (bytes, merging) = merging.next().await?;
            Some((Ok::<_, std::convert::Infallible>(bytes), merging))
        });
        (
            [(header::CONTENT_TYPE, format.content_type())],
            Body::from_stream(body),
        )
            .into_response()
    }
}

/// A page that is being written.
struct Merging {
    pages: VecDeque<Page>,
    /// Taken by the last piece.
    writer: Option<Writer>,
    registry: Arc<Registry>,
    deadline: Instant,
    counters: Arc<Counters>,
}

impl Merging {
    /// The next piece, and what follows it.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            let Some(page) = self.pages.front_mut() else {
                let mut writer = self.writer.take()?;
                let mut own = String::new();
                // Writing to a string does not fail.
                let _ = prometheus_client::encoding::text::encode(&mut own, &self.registry);
                writer.end_of_page();
                for line in own.lines() {
                    writer.line(Format::OpenMetrics, line);
                }
                return Some((writer.finish(), self));
            };
            let writer = self.writer.as_mut()?;
            let read = match page.chunk(self.deadline).await {
                None => {
                    writer.last_line(page.format);
                    None
                }
                Some(chunk) => Some(chunk.and_then(|chunk| Ok(writer.feed(page.format, &chunk)?))),
            };
            match read {
                Some(Ok(())) => {}
                ended => {
                    if let Some(Err(error)) = ended {
                        self.counters.failed(page.name, &error);
                    }
                    writer.end_of_page();
                    self.pages.pop_front();
                }
            }
            let written = writer.take();
            if !written.is_empty() {
                return Some((written, self));
            }
        }
    }
}

impl Counters {
    fn failed(&self, r#type: &'static str, error: &anyhow::Error) {
        self.failures.get_or_create(&From { r#type }).inc();
        tracing::debug!(of = r#type, error = %format!("{error:#}"), "metrics are missing");
    }
}

/// How long a scraper waits, as it says itself, less what the way back takes.
fn patience(headers: &HeaderMap) -> Duration {
    let said = headers
        .get("x-prometheus-scrape-timeout-seconds")
        .and_then(|seconds| seconds.to_str().ok()?.parse::<f64>().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|patience| *patience > Duration::ZERO)
        .map_or(WITHIN, |patience| patience.min(6 * WITHIN));
    said.saturating_sub(MARGIN).max(said / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations() {
        let read = |json: &str| Scrape::parse(json).map_err(|_| ());
        let of = |port, path: &str| {
            Ok(Some(Scrape {
                port,
                path: path.into(),
            }))
        };
        assert_eq!(read(""), Ok(None));
        assert_eq!(read(r#"{"scrape":"false","port":"80"}"#), Ok(None));
        assert_eq!(read(r#"{"scrape":"true"}"#), of(80, "/metrics"));
        assert_eq!(
            read(r#"{"scrape":"true","path":"a?b","port":"9000"}"#),
            of(9000, "/a?b")
        );
        assert_eq!(read(r#"{"scrape":"true","port":"http"}"#), Err(()));
        assert_eq!(read("scrape"), Err(()));
    }

    #[test]
    fn how_long_a_scraper_waits() {
        for (said, expected) in [
            (None, 9500),
            (Some("3"), 2500),
            (Some("0.4"), 200),
            (Some("-1"), 9500),
            (Some("NaN"), 9500),
            (Some("1e9"), 59_500),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(said) = said {
                headers.insert("x-prometheus-scrape-timeout-seconds", said.parse().unwrap());
            }
            assert_eq!(
                patience(&headers),
                Duration::from_millis(expected),
                "{said:?}"
            );
        }
    }
}
