//! From a patch as written to a message of Envoy's.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilothouse_core::registry::{Meta, Problem};
use pilothouse_core::rules::RuleSpec;
use pilothouse_core::rules::resolve::envoy_filter::{
    ApplyTo, Operation, Patch, ProxyMatch, envoy_filter,
};
use prost::Message;
use prost_reflect::DynamicMessage;

use crate::json::{JsonError, message_from_json};
use crate::server::KEPT;

/// A patch whose value has been read.
#[derive(Debug, Clone)]
pub(crate) struct Decoded {
    /// The patch.
    pub(crate) patch: Arc<Patch>,
    /// Its value; `None` for a removal.
    value: Option<DynamicMessage>,
}

/// All that is wrong with the values of an `EnvoyFilter`; nothing for other kinds. To be given to the store among
/// [`checks`](pilothouse_core::store::Settings::checks), so that an object with a value that Envoy has no message for is rejected as
/// a whole and its last good version stays.
pub fn check(meta: &Meta, spec: &RuleSpec) -> Vec<Problem> {
    let RuleSpec::EnvoyFilter(spec) = spec else {
        return Vec::new();
    };
    let filter = envoy_filter(meta, spec);
    let all = filter.patches.iter();
    all.flat_map(|(proxy, patch)| {
        let unknown = proxy.iter().flat_map(|of| unknown_metadata(of, patch));
        Decoded::new(patch).err().into_iter().chain(unknown)
    })
    .collect()
}

/// Metadata that is not kept of proxies, so that no proxy has it.
fn unknown_metadata<'a>(
    of: &'a ProxyMatch,
    patch: &Patch,
) -> impl Iterator<Item = Problem> + use<'a> {
    const FIELDS: [&str; 3] = ["NAMESPACE", "CLUSTER_ID", "NETWORK"];
    let index = patch.index;
    let keys = of.metadata.iter().map(|(key, _)| key);
    keys.filter(|key| !FIELDS.contains(key) && !KEPT.contains(key))
        .map(move |key| {
            let place = format!("spec.configPatches[{index}].match.proxy.metadata[{key:?}]");
            let known: Vec<_> = FIELDS.into_iter().chain(KEPT).collect();
            Problem::warning(
                place,
                "is not kept of proxies: the patch is for none of them",
            )
            .hint(format!(
                "one of {}, or a workloadSelector",
                known.join(", ")
            ))
        })
}

impl Decoded {
    /// Reads the value of a patch.
    pub(crate) fn new(patch: &Arc<Patch>) -> Result<Self, Problem> {
        let place = format!("spec.configPatches[{}].patch.value", patch.index);
        let mut decoded = Self {
            patch: patch.clone(),
            value: None,
        };
        if patch.operation == Operation::Remove {
            return Ok(decoded);
        }
        let name = message_of(patch.apply_to);
        let Some(text) = &patch.value else {
            return Err(Problem::error(place, "is missing"));
        };
        let json = serde_json::from_str(text)
            .map_err(|error| Problem::error(place.as_str(), error.to_string()))?;
        let value = message_from_json(name, &json).map_err(|error| problem(&place, name, error))?;
        complete(&place, patch, &value)?;
        decoded.value = Some(value);
        Ok(decoded)
    }

    /// Its value.
    pub(super) fn value(&self) -> Result<&DynamicMessage, String> {
        self.value.as_ref().ok_or_else(|| "has no value".to_owned())
    }

    /// Its value as a message of the type that it is for.
    pub(super) fn message<M: Message + Default>(&self) -> Result<M, String> {
        M::decode(&*self.value()?.encode_to_vec()).map_err(|error| error.to_string())
    }
}

/// What is put in place.
fn message_of(to: ApplyTo) -> &'static str {
    match to {
        ApplyTo::Listener => "envoy.config.listener.v3.Listener",
        ApplyTo::FilterChain => "envoy.config.listener.v3.FilterChain",
        ApplyTo::ListenerFilter => "envoy.config.listener.v3.ListenerFilter",
        ApplyTo::NetworkFilter => "envoy.config.listener.v3.Filter",
        ApplyTo::HttpFilter => {
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter"
        }
        ApplyTo::RouteConfiguration => "envoy.config.route.v3.RouteConfiguration",
        ApplyTo::VirtualHost => "envoy.config.route.v3.VirtualHost",
        ApplyTo::HttpRoute => "envoy.config.route.v3.Route",
        ApplyTo::Cluster => "envoy.config.cluster.v3.Cluster",
        ApplyTo::ExtensionConfig => "envoy.config.core.v3.TypedExtensionConfig",
        ApplyTo::Bootstrap | ApplyTo::Invalid => "envoy.config.bootstrap.v3.Bootstrap",
    }
}

fn problem(place: &str, name: &str, error: JsonError) -> Problem {
    let short = name.rsplit('.').next().unwrap_or(name);
    match error {
        JsonError::Unreadable { path, error, .. } => {
            let path = match path.as_str() {
                "" | "." => place.to_owned(),
                path if path.starts_with('[') => format!("{place}{path}"),
                path => format!("{place}.{path}"),
            };
            let text = error.to_string();
            let path = match unknown_field(&text) {
                Some(field) => format!("{path}.{field}"),
                None => path,
            };
            let hint = hint(&text);
            Problem::error(path, format!("is not Envoy's {short}: {text}")).hint(hint)
        }
        other => Problem::error(place, other.to_string()),
    }
}

/// The field that a type does not have, which is told of the object that has it.
fn unknown_field(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("unrecognized field name '")?;
    rest.split('\'').next()
}

fn hint(text: &str) -> &'static str {
    let unknown = text.starts_with("message '") && text.contains("' not found");
    if unknown && (text.contains(".v2.") || text.contains(".v2alpha")) {
        "Envoy has v3 of its API only"
    } else if unknown {
        "@type is one of the messages of Envoy's API"
    } else {
        ""
    }
}

/// What Envoy refuses whatever it is put into.
fn complete(place: &str, patch: &Patch, value: &DynamicMessage) -> Result<(), Problem> {
    let merges = matches!(
        patch.operation,
        Operation::Merge | Operation::MergeAndReplaceList
    );
    let named = matches!(
        patch.apply_to,
        ApplyTo::Listener
            | ApplyTo::Cluster
            | ApplyTo::VirtualHost
            | ApplyTo::ListenerFilter
            | ApplyTo::NetworkFilter
            | ApplyTo::HttpFilter
            | ApplyTo::ExtensionConfig
    );
    if merges || !named {
        return Ok(());
    }
    let has = |field: &str| value.has_field_by_name(field);
    if !has("name") {
        return Err(Problem::error(format!("{place}.name"), "is missing"));
    }
    let is_filter = matches!(
        patch.apply_to,
        ApplyTo::ListenerFilter
            | ApplyTo::NetworkFilter
            | ApplyTo::HttpFilter
            | ApplyTo::ExtensionConfig
    );
    if is_filter && !has("typed_config") && !has("config_discovery") {
        return Err(
            Problem::error(format!("{place}.typed_config"), "is missing")
                .hint("Envoy finds filters by the type of their configuration, and by that alone"),
        );
    }
    Ok(())
}

/// Reads each patch once.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    known: BTreeMap<Arc<Patch>, Result<Arc<Decoded>, Problem>>,
}

impl Decoder {
    /// The patch, read; or what is wrong with it.
    pub(crate) fn get(&mut self, patch: &Arc<Patch>) -> Result<Arc<Decoded>, Problem> {
        if let Some(known) = self.known.get(patch) {
            return known.clone();
        }
        let decoded = Decoded::new(patch).map(Arc::new);
        self.known.insert(patch.clone(), decoded.clone());
        decoded
    }

    /// Forgets all but those that `keep` says.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Arc<Patch>) -> bool) {
        self.known.retain(|patch, _| keep(patch));
    }
}
