//! Networks, and how one is entered from another.

use serde::{Deserialize, Serialize};

use super::{Address, NetworkId};

/// A network with its gateways.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub id: NetworkId,
    /// Where connections from other networks enter.
    pub gateways: Vec<NetworkGateway>,
}

/// One entrance of a network.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NetworkGateway {
    /// The address as seen from outside.
    pub address: Address,
    /// The port for mutual TLS with server names (15443 by convention).
    pub port: u16,
}
