//! What becomes of outbound traffic that no service claims: what mesh config says, unless a `Sidecar` says something else.

use pilothouse_core::mesh::{Mesh, OutboundPolicy};
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::resolve::Elsewhere;

use crate::names;
use crate::resource::Name;
use crate::view::View;

/// See the [module](self).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Outbound {
    /// Where it goes.
    pub to: Unclaimed,
    /// The rule that says it; `None`: mesh config does.
    pub rule: Option<ObjectKey>,
}

/// Where traffic goes that no service claims.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Unclaimed {
    /// Where it was meant to go, or nowhere.
    Policy(OutboundPolicy),
    /// To this cluster.
    Cluster(Name),
}

impl Outbound {
    /// What becomes of it for clients with this view.
    pub fn of(mesh: &Mesh, view: &View) -> Self {
        let said = view
            .egress()
            .and_then(|egress| Some((egress, egress.elsewhere.as_ref()?)));
        let Some((egress, elsewhere)) = said else {
            return mesh.config().outbound.into();
        };
        let to = match elsewhere {
            Elsewhere::Policy(policy) => Unclaimed::Policy(*policy),
            Elsewhere::Proxy(proxy) => {
                let port = proxy.port.unwrap_or_default();
                Unclaimed::Cluster(names::outbound_cluster(port, &proxy.subset, &proxy.host))
            }
        };
        Self {
            to,
            rule: Some(egress.rule.clone()),
        }
    }

    /// The cluster that connections go to.
    pub fn cluster(&self) -> &str {
        match &self.to {
            Unclaimed::Policy(OutboundPolicy::AllowAny) => names::PASSTHROUGH,
            Unclaimed::Policy(OutboundPolicy::RegistryOnly) => names::BLACK_HOLE,
            Unclaimed::Cluster(name) => name.as_str(),
        }
    }

    /// Whether it goes nowhere.
    pub fn is_blocked(&self) -> bool {
        self.to == Unclaimed::Policy(OutboundPolicy::RegistryOnly)
    }
}

impl From<OutboundPolicy> for Outbound {
    fn from(policy: OutboundPolicy) -> Self {
        Self {
            to: Unclaimed::Policy(policy),
            rule: None,
        }
    }
}
