//! The way to an API server: where it is, who we are to it, and how much it is asked.
//!
//! The stack below `kube::Client` is our own, for three reasons: connections that are silent for minutes are probed (a watch's
//! peer may vanish without a word), nothing is tried again behind our back (the watches know when), and what fails is logged
//! once, by whoever asked.

mod pace;

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::{HeaderValue, USER_AGENT};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::Config;
use kube::client::{Client, ClientBuilder, ConfigExt};
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use thiserror::Error;
use tokio::time::timeout;
use tower::{BoxError, ServiceBuilder, ServiceExt};

use pace::PaceLayer;

/// Where a service account is mounted.
const MOUNTED: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// How long a connection may be silent before it is probed; three probes at the same pace follow.
const PROBE: Duration = Duration::from_secs(15);

/// How long an answer's head may take, the connection's making included. Bodies take as long as they take: a watch lasts.
const ANSWER: Duration = Duration::from_secs(60);

/// How API servers are reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Access {
    /// The kubeconfig. `None`: `KUBECONFIG`, then `~/.kube/config`, then the service account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; its current one if `None`.
    pub context: Option<String>,
    /// How many requests are made in a second for long; a watch is one. Zero for no limit.
    pub qps: f64,
    /// How many requests may be made at once after a pause.
    pub burst: u32,
    /// Who asks, for the server's logs: `pilot-discovery/VERSION`.
    pub user_agent: String,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            qps: 80.0,
            burst: 160,
            user_agent: "pilothouse".into(),
        }
    }
}

/// Why there is no client.
#[derive(Debug, Error)]
pub enum AccessError {
    /// A kubeconfig cannot be used.
    #[error("{from}: {why}")]
    Kubeconfig {
        /// Which one.
        from: String,
        /// What is wrong with it.
        why: Box<KubeconfigError>,
    },
    /// The service account that is mounted cannot be used.
    #[error("the service account of this pod: {0}")]
    ServiceAccount(#[from] InClusterError),
    /// Nothing says where the API server is.
    #[error(
        "no Kubernetes API server is known: {0}; give --kubeconfig, or run in a pod with a service account"
    )]
    Unknown(String),
    /// TLS or the credentials cannot be set up.
    #[error("{from}: {why}")]
    Unusable {
        /// What was to be used.
        from: String,
        /// What is wrong with it.
        why: Box<kube::Error>,
    },
}

impl Access {
    /// A client of the cluster that this says. Nothing is asked yet.
    ///
    /// # Errors
    /// Nothing says where an API server is, or what does is wrong.
    pub async fn client(&self) -> Result<Client, AccessError> {
        let (config, from) = self.find(&Surroundings::of_process()).await?;
        tracing::info!(target: "kube", server = %config.cluster_url, %from, "the Kubernetes API server");
        self.client_of(config, &from)
    }

    /// A client of the cluster that a kubeconfig's text says, by its current context. `from` says where the text stands.
    ///
    /// # Errors
    /// It cannot be used.
    pub async fn client_of_text(&self, text: &str, from: &str) -> Result<Client, AccessError> {
        let read = Kubeconfig::from_yaml(text);
        let config = config_of(read, &KubeConfigOptions::default(), from).await?;
        self.client_of(config, from)
    }

    /// Where the API server is, and what says so.
    async fn find(&self, around: &Surroundings) -> Result<(Config, String), AccessError> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let mut tried = Vec::new();
        if let Some(file) = &self.kubeconfig {
            let from = format!("--kubeconfig {}", file.display());
            let config = config_of(Kubeconfig::read_from(file), &options, &from).await?;
            return Ok((config, from));
        }
        match &around.kubeconfig {
            Some(files) => {
                let from = format!("KUBECONFIG={}", files.display());
                let config = config_of(read_all(files), &options, &from).await?;
                return Ok((config, from));
            }
            None => tried.push("neither --kubeconfig nor KUBECONFIG is given".to_owned()),
        }
        if let Some(file) = &around.home {
            if file.exists() {
                let from = file.display().to_string();
                let config = config_of(Kubeconfig::read_from(file), &options, &from).await?;
                return Ok((config, from));
            }
            tried.push(format!("{} does not exist", file.display()));
        }
        if self.context.is_some() {
            tried.push("--context needs a kubeconfig".to_owned());
        } else if !around.token.exists() {
            tried.push(format!("{} is not mounted", around.token.display()));
        } else {
            return Ok((
                Config::incluster()?,
                "the service account of this pod".to_owned(),
            ));
        }
        Err(AccessError::Unknown(tried.join(", ")))
    }

    fn client_of(&self, mut config: Config, from: &str) -> Result<Client, AccessError> {
        if let Some(proxy) = &config.proxy_url {
            tracing::warn!(target: "kube", %proxy, %from, "the API server is reached without the proxy: none is supported");
        }
        if let Ok(agent) = HeaderValue::from_str(&self.user_agent) {
            config.headers.push((USER_AGENT, agent));
        }
        let unusable = |why| AccessError::Unusable {
            from: from.to_owned(),
            why: Box::new(why),
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(config.connect_timeout);
        tcp.set_keepalive(Some(PROBE));
        tcp.set_keepalive_interval(Some(PROBE));
        tcp.set_keepalive_retries(Some(3));
        let tls = config
            .rustls_https_connector_with_connector(tcp)
            .map_err(unusable)?;
        let http = hyper_util::client::legacy::Builder::new(TokioExecutor::new()).build(tls);
        let service = ServiceBuilder::new()
            .layer(config.base_uri_layer())
            .option_layer(config.auth_layer().map_err(unusable)?)
            .layer(config.extra_headers_layer().map_err(unusable)?)
            .service(http.map_future(in_time));
        let pace = PaceLayer::new(self.qps, self.burst);
        let builder = ClientBuilder::new(service, config.default_namespace.clone());
        Ok(builder.with_layer(&pace).build())
    }
}

/// An answer's head, unless it takes too long.
async fn in_time<T, E: Into<BoxError>>(
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, BoxError> {
    match timeout(ANSWER, answer).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(format!("no answer within {ANSWER:?}").into()),
    }
}

/// What the surroundings of the process say of clusters.
struct Surroundings {
    /// `KUBECONFIG`.
    kubeconfig: Option<PathBuf>,
    /// `~/.kube/config`.
    home: Option<PathBuf>,
    /// The token of the service account.
    token: PathBuf,
}

impl Surroundings {
    fn of_process() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            kubeconfig: variable("KUBECONFIG").map(PathBuf::from),
            home: variable("HOME").map(|home| Path::new(&home).join(".kube/config")),
            token: MOUNTED.into(),
        }
    }
}

/// Reads a list of files as `KUBECONFIG` has it; the first to say something counts.
fn read_all(files: &Path) -> Result<Kubeconfig, KubeconfigError> {
    std::env::split_paths(files)
        .filter(|file| !file.as_os_str().is_empty())
        .try_fold(Kubeconfig::default(), |all, file| {
            all.merge(Kubeconfig::read_from(file)?)
        })
}

async fn config_of(
    read: Result<Kubeconfig, KubeconfigError>,
    options: &KubeConfigOptions,
    from: &str,
) -> Result<Config, AccessError> {
    let config = match read {
        Ok(read) => Config::from_custom_kubeconfig(read, options).await,
        Err(why) => Err(why),
    };
    config.map_err(|why| AccessError::Kubeconfig {
        from: from.to_owned(),
        why: Box::new(why),
    })
}

#[cfg(test)]
mod tests;
