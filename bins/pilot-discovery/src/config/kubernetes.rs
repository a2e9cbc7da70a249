//! Flags of the registry Kubernetes. What they do not say, kubeconfigs and the pod's surroundings do, as for kubectl.

use std::path::PathBuf;

use clap::Args;
use pilothouse_kubernetes::{Access, KubernetesConfig};
use pilothouse_process::version::VERSION;

use super::Source;

/// The namespace of the control plane, where nothing says another.
const NAMESPACE: &str = "istio-system";

/// Flags of the registry Kubernetes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Kubernetes")]
pub(super) struct KubernetesArgs {
    /// The kubeconfig that says where the API server is. Default: KUBECONFIG, else ~/.kube/config if it is there, else the service
    /// account of the pod.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig. Default: its current one.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// The namespace of the control plane itself. Default: POD_NAMESPACE, else istio-system.
    #[arg(long, short = 'n', value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    /// The only namespace that is read, beside the root namespace of the mesh. Default: all that discoverySelectors of mesh config
    /// select.
    #[arg(long, alias = "appNamespace", short = 'a', value_name = "NAMESPACE")]
    pub app_namespace: Option<String>,

    /// How many requests are made to the API server in a second for long; a watch is one. 0 for no limit.
    #[arg(
        long,
        alias = "kubernetesApiQPS",
        default_value_t = 80.0,
        value_name = "N"
    )]
    pub kubernetes_api_qps: f64,

    /// How many may be made at once after a pause.
    #[arg(
        long,
        alias = "kubernetesApiBurst",
        default_value_t = 160,
        value_name = "N"
    )]
    pub kubernetes_api_burst: u32,
}

impl KubernetesArgs {
    /// The registry that they ask for.
    pub(super) fn source(&self, cluster: &str, domain: &str) -> Source {
        let only = self.app_namespace.as_deref();
        let config = KubernetesConfig {
            cluster: cluster.to_owned(),
            domain: domain.into(),
            namespace: only.filter(|name| !name.is_empty()).map(Into::into),
            ..KubernetesConfig::default()
        };
        let access = Access {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            qps: self.kubernetes_api_qps,
            burst: self.kubernetes_api_burst,
            user_agent: format!("pilot-discovery/{}", VERSION.version),
        };
        Source::Kubernetes {
            config: Box::new(config),
            access: Box::new(access),
        }
    }

    /// The namespace of the control plane.
    pub(super) fn namespace(&self) -> String {
        let said = self.namespace.clone();
        said.or_else(|| std::env::var("POD_NAMESPACE").ok())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| NAMESPACE.to_owned())
    }
}
