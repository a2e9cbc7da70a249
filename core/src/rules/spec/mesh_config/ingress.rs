//! Which `Ingress`es routers serve.

use serde_json::Value;

use super::super::{Decode, one_of};
use crate::rules::at::At;

/// Which `Ingress`es routers serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IngressControllerMode {
    /// Nothing is said.
    #[default]
    Unspecified,
    /// None.
    Off,
    /// Those of our class, and those of none.
    Default,
    /// Those of our class.
    Strict,
}

impl Decode for IngressControllerMode {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        // `OFF` without quotes is a truth value in YAML.
        if *value == Value::Bool(false) {
            return Self::Off;
        }
        one_of(
            value,
            at,
            &[
                ("UNSPECIFIED", 0, Self::Unspecified),
                ("OFF", 1, Self::Off),
                ("DEFAULT", 2, Self::Default),
                ("STRICT", 3, Self::Strict),
            ],
        )
    }
}
