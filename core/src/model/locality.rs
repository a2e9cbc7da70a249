//! Where something runs, for load balancing.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::name::shared;

/// Region, zone and sub-zone, from wide to narrow; empty where unknown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Locality {
    /// Such as `eu-central`.
    pub region: Arc<str>,
    /// Such as `eu-central-1a`.
    pub zone: Arc<str>,
    /// A division of the zone: a rack, a room.
    pub sub_zone: Arc<str>,
}

impl Locality {
    /// Reads Istio's `region/zone/subzone`; missing parts are empty.
    pub fn parse(text: &str) -> Self {
        let mut parts = text.splitn(3, '/').map(shared);
        let mut next = || parts.next().unwrap_or_default();
        Self {
            region: next(),
            zone: next(),
            sub_zone: next(),
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.region.is_empty() && self.zone.is_empty() && self.sub_zone.is_empty()
    }
}

impl fmt::Display for Locality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.region)?;
        for part in [&self.zone, &self.sub_zone] {
            if !part.is_empty() {
                write!(f, "/{part}")?;
            }
        }
        Ok(())
    }
}
