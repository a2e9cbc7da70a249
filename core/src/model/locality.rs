//! Where something runs, for load balancing.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use arcstr::ArcStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Region, zone and sub-zone, from wide to narrow; empty where unknown. A handle of one pointer: cheap to clone, and nothing is
/// allocated where nothing is known.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Locality(Option<Arc<LocalityParts>>);

/// What a [`Locality`] consists of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LocalityParts {
    /// Such as `eu-central`.
    pub region: ArcStr,
    /// Such as `eu-central-1a`.
    pub zone: ArcStr,
    /// A division of the zone: a rack, a room.
    pub sub_zone: ArcStr,
}

static UNKNOWN: LocalityParts = LocalityParts {
    region: ArcStr::new(),
    zone: ArcStr::new(),
    sub_zone: ArcStr::new(),
};

impl Locality {
    /// A locality of these parts.
    pub fn new(
        region: impl Into<ArcStr>,
        zone: impl Into<ArcStr>,
        sub_zone: impl Into<ArcStr>,
    ) -> Self {
        Self::of(LocalityParts {
            region: region.into(),
            zone: zone.into(),
            sub_zone: sub_zone.into(),
        })
    }

    /// Reads Istio's `region/zone/subzone`; missing parts are empty.
    pub fn parse(text: &str) -> Self {
        let mut parts = text.splitn(3, '/');
        let mut next = || parts.next().unwrap_or_default();
        Self::new(next(), next(), next())
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// What is empty is `None`, so that equal localities are equal handles.
    fn of(parts: LocalityParts) -> Self {
        Self((parts != UNKNOWN).then(|| Arc::new(parts)))
    }
}

impl Deref for Locality {
    type Target = LocalityParts;

    fn deref(&self) -> &LocalityParts {
        self.0.as_deref().unwrap_or(&UNKNOWN)
    }
}

impl Hash for Locality {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl Serialize for Locality {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Locality {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        LocalityParts::deserialize(deserializer).map(Self::of)
    }
}

impl fmt::Debug for Locality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
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
