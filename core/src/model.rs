//! What a mesh consists of, as values that are valid by construction.

mod address;
mod by_name;
mod endpoint;
mod host;
mod labels;
mod last;
mod locality;
pub(crate) mod name;
mod namespace;
mod network;
mod node;
mod port;
mod proxy;
mod service;
mod texts;
mod workload;

pub use address::{Address, Cidr, InvalidAddress};
pub use by_name::ByName;
pub use endpoint::{Endpoint, EndpointPort, Health, TlsMode};
pub use host::{Host, InvalidHost};
pub use labels::Labels;
pub use last::Last;
pub use locality::{Locality, LocalityParts};
pub use name::{ClusterId, NamespaceName, NetworkId};
pub use namespace::Namespace;
pub use network::{Network, NetworkGateway};
pub use node::Node;
pub use port::{Protocol, ServicePort};
pub use proxy::{DataPlane, Interception, InvalidNodeId, NodeId, Proxy, ProxyKind};
pub use service::{
    AutomaticAddress, Location, Preference, Resolution, Service, ServiceKey, ServiceSource,
    Visibility,
};
pub use texts::Texts;
pub use workload::{Workload, WorkloadKey, WorkloadKeyParts};
