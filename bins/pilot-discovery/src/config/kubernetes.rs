//! Flags of the registry Kubernetes. What they do not say, kubeconfigs and the pod's surroundings do, as for kubectl.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use pilothouse_kubernetes::{Access, KubernetesConfig, MeshConfigMap, StatusSettings, Writes};
use pilothouse_process::value::duration;
use pilothouse_process::version::VERSION;

use super::{Clusters, MeshConfigPlace, Source};

/// The namespace of the control plane, where nothing says another.
const NAMESPACE: &str = "istio-system";

/// The ConfigMap of mesh-wide settings, as Istio calls it.
const MESH_CONFIG_MAP: &str = "istio";

/// What is written to the status of rule objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StatusWrites {
    /// All of it, but conditions only where there are none of another controller.
    Auto,
    /// All of it.
    On,
    /// Nothing.
    Off,
}

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

    /// The ConfigMap in that namespace whose key mesh has the mesh-wide settings, where --mesh-config names no file. Default: istio,
    /// if it exists; one that is named here is waited for.
    #[arg(long, value_name = "NAME")]
    pub mesh_config_map: Option<String>,

    /// The namespace of secrets that describe further clusters, labelled istio/multiCluster=true. Default: that of --namespace.
    #[arg(long, alias = "clusterRegistriesNamespace", value_name = "NAMESPACE")]
    pub clusters_namespace: Option<String>,

    /// For how long readiness waits for a further cluster.
    #[arg(long, env = "PILOT_REMOTE_CLUSTER_TIMEOUT", default_value = "30s", value_parser = duration, value_name = "TIME")]
    pub remote_cluster_timeout: Duration,

    /// What is written to the status of rule objects: `auto` for all of it, but conditions only of objects that have none of another
    /// controller; `on` for all of it, beside what other controllers write; `off` for nothing.
    #[arg(long, value_enum, default_value = "auto", value_name = "WHICH")]
    pub status_writes: StatusWrites,

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

    /// Where mesh-wide settings stand if no file has them.
    pub(super) fn mesh_config(&self) -> MeshConfigPlace {
        let name = self.mesh_config_map.as_deref();
        let map = MeshConfigMap {
            namespace: self.namespace().into(),
            name: name.unwrap_or(MESH_CONFIG_MAP).into(),
        };
        MeshConfigPlace::ConfigMap {
            map,
            needed: name.is_some(),
        }
    }

    /// Where further clusters are described, and how long they are waited for.
    pub(super) fn clusters(&self) -> Clusters {
        let said = self.clusters_namespace.clone();
        Clusters {
            namespace: said.unwrap_or_else(|| self.namespace()),
            patience: self.remote_cluster_timeout,
        }
    }

    /// How status is written. The pod's surroundings say which replica this is.
    pub(super) fn status(&self) -> StatusSettings {
        let variable = |name: &str| std::env::var(name).ok().filter(|said| !said.is_empty());
        let pod = variable("POD_NAME");
        let replica = pod.clone().unwrap_or_else(|| {
            // Several may run on one machine.
            let host = variable("HOSTNAME").unwrap_or_else(|| "host".to_owned());
            format!("{host}-{}", std::process::id())
        });
        StatusSettings {
            writes: match self.status_writes {
                StatusWrites::Auto => Writes::Auto,
                StatusWrites::On => Writes::On,
                StatusWrites::Off => Writes::Off,
            },
            pod_uid: pod.and_then(|_| variable("POD_UID")),
            ..StatusSettings::new(&self.namespace(), &replica)
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
