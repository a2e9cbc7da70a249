//! Names that are nothing but names: cheap to clone, ordered by their text.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The text, to be shared; an empty one allocates nothing.
pub(super) fn shared(text: &str) -> Arc<str> {
    if text.is_empty() {
        Arc::default()
    } else {
        text.into()
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Takes the text as it is.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                Self(shared(text))
            }
        }

        impl From<String> for $type {
            fn from(text: String) -> Self {
                Self(shared(&text))
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name! {
    /// The name of a namespace: the unit of ownership and visibility.
    NamespaceName
}

name! {
    /// The cluster, datacenter or other site that a thing runs in (Istio's `CLUSTER_ID`).
    ClusterId
}

name! {
    /// The network within which addresses reach each other. The empty name is the mesh's default network.
    NetworkId
}
