//! The part of a rule that controllers write: this project, or Istio while it still runs in the same cluster.

use serde_json::{Value, json};

/// The schema of a kind's `status`.
pub(super) fn schema(kind: &str) -> Value {
    let mut status = json!({
        "type": "object",
        "description": "What has become of the object. Controllers write it.",
        // Other controllers may have more to say.
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "conditions": {
                "type": "array",
                "description": "What holds of the object, one condition of each type.",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": condition(),
            },
            "observedGeneration": {
                "description": "The generation of the object that this is about.",
                // Istio writes it as a text.
                "x-kubernetes-int-or-string": true,
            },
            "validationMessages": {
                "type": "array",
                "description": "What is odd about the object.",
                "items": message(),
            },
        },
    });
    if kind == "ServiceEntry"
        && let Some(properties) = status.pointer_mut("/properties")
    {
        properties["addresses"] = addresses();
    }
    status
}

fn condition() -> Value {
    json!({
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": {"type": "string", "description": "What may hold."},
            "status": {"type": "string", "description": "Whether it does: True, False or Unknown."},
            "reason": {"type": "string", "description": "Why, in one word."},
            "message": {"type": "string", "description": "Why, for people."},
            "lastTransitionTime": {
                "type": "string",
                "format": "date-time",
                "description": "When the status changed last.",
            },
            "lastProbeTime": {
                "type": "string",
                "format": "date-time",
                "description": "When it was looked at last.",
            },
            "observedGeneration": {
                "description": "The generation of the object that this is about.",
                "x-kubernetes-int-or-string": true,
            },
        },
    })
}

fn message() -> Value {
    json!({
        "type": "object",
        "properties": {
            "documentationUrl": {"type": "string"},
            "level": {"type": "string", "enum": ["UNKNOWN", "ERROR", "WARNING", "INFO"]},
            "type": {
                "type": "object",
                "properties": {"code": {"type": "string"}, "name": {"type": "string"}},
            },
        },
    })
}

/// The addresses that hosts without any were given.
fn addresses() -> Value {
    json!({
        "type": "array",
        "description": "The addresses that hosts without any were given.",
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "object",
            "properties": {
                "value": {"type": "string", "description": "The address."},
                "host": {"type": "string", "description": "The host that it is for."},
            },
        },
    })
}
