//! `EnvoyFilter`: changes of what Envoy gets, in Envoy's own words.
//!
//! What is put in place is Envoy's affair: it is kept as JSON here, and whoever knows Envoy says whether it means anything.

pub mod matching;

use serde::Serialize;
use serde_json::Value;

use super::scalar::{Named, describe};
use super::{Decode, WorkloadSelector, object, one_of};
use crate::rules::at::At;
use crate::rules::schema::Schema;
use matching::Match;

/// Changes of what Envoy gets, in Envoy's own words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EnvoyFilter {
    /// The workloads whose proxies are concerned; all of the namespace if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_selector: Option<WorkloadSelector>,
    /// Resources whose proxies are concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_refs: Vec<TargetRef>,
    /// The changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub config_patches: Vec<ConfigPatch>,
    /// Its place among others: lower numbers first.
    pub priority: Priority,
}

/// A resource whose proxies are concerned.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TargetRef {
    /// Such as `gateway.networking.k8s.io`.
    pub group: String,
    /// Such as `Gateway`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// A place among others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Priority(pub i32);

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConfigPatch {
    /// What kind of thing is changed.
    pub apply_to: ApplyTo,
    /// Which of them; all if absent.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub matching: Option<Match>,
    /// How.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<Patch>,
}

/// How something is changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Patch {
    /// What is done.
    pub operation: Operation,
    /// With what: Envoy's own message, in the JSON form of protobuf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Json>,
    /// What kind of filter is added, which says where.
    pub filter_class: FilterClass,
}

/// An object of which nothing is known here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Json(pub Value);

/// What kind of thing is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ApplyTo {
    /// Nothing is said.
    #[default]
    Invalid,
    /// A listener.
    Listener,
    /// A filter chain of a listener.
    FilterChain,
    /// A network filter of a chain.
    NetworkFilter,
    /// A filter of the HTTP connection manager.
    HttpFilter,
    /// A route configuration.
    RouteConfiguration,
    /// A virtual host of a route configuration.
    VirtualHost,
    /// A route of a virtual host.
    HttpRoute,
    /// A cluster.
    Cluster,
    /// The configuration of a filter that has none of its own.
    ExtensionConfig,
    /// What Envoy starts with.
    Bootstrap,
    /// A filter of a listener.
    ListenerFilter,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Operation {
    /// Nothing is said.
    #[default]
    Invalid,
    /// The value is merged into what is there.
    Merge,
    /// The value is one more.
    Add,
    /// What is there goes.
    Remove,
    /// The value comes before what is there.
    InsertBefore,
    /// The value comes after what is there.
    InsertAfter,
    /// The value comes first.
    InsertFirst,
    /// The value takes the place of what is there.
    Replace,
    /// The value is merged into what is there; lists take the place of lists.
    MergeAndReplaceList,
}

/// What kind of filter is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FilterClass {
    /// Any.
    #[default]
    Unspecified,
    /// It finds out who asks.
    Authn,
    /// It decides what is allowed.
    Authz,
    /// It counts.
    Stats,
}

const APPLY_TO: &[Named<ApplyTo>] = &[
    ("LISTENER", 1, ApplyTo::Listener),
    ("FILTER_CHAIN", 2, ApplyTo::FilterChain),
    ("NETWORK_FILTER", 3, ApplyTo::NetworkFilter),
    ("HTTP_FILTER", 4, ApplyTo::HttpFilter),
    ("ROUTE_CONFIGURATION", 5, ApplyTo::RouteConfiguration),
    ("VIRTUAL_HOST", 6, ApplyTo::VirtualHost),
    ("HTTP_ROUTE", 7, ApplyTo::HttpRoute),
    ("CLUSTER", 8, ApplyTo::Cluster),
    ("EXTENSION_CONFIG", 9, ApplyTo::ExtensionConfig),
    ("BOOTSTRAP", 10, ApplyTo::Bootstrap),
    ("LISTENER_FILTER", 11, ApplyTo::ListenerFilter),
    ("INVALID", 0, ApplyTo::Invalid),
];

const OPERATIONS: &[Named<Operation>] = &[
    ("MERGE", 1, Operation::Merge),
    ("ADD", 2, Operation::Add),
    ("REMOVE", 3, Operation::Remove),
    ("INSERT_BEFORE", 4, Operation::InsertBefore),
    ("INSERT_AFTER", 5, Operation::InsertAfter),
    ("INSERT_FIRST", 6, Operation::InsertFirst),
    ("REPLACE", 7, Operation::Replace),
    ("MERGE_AND_REPLACE_LIST", 8, Operation::MergeAndReplaceList),
    ("INVALID", 0, Operation::Invalid),
];

impl ApplyTo {
    /// As it is written.
    pub fn name(self) -> &'static str {
        name_of(APPLY_TO, self)
    }

    /// What can be done to it.
    pub fn operations(self) -> &'static [Operation] {
        use Operation::{
            Add, InsertAfter, InsertBefore, InsertFirst, Merge, MergeAndReplaceList, Remove,
            Replace,
        };
        match self {
            Self::Invalid => &[],
            Self::Listener | Self::FilterChain | Self::VirtualHost | Self::Cluster => {
                &[Merge, MergeAndReplaceList, Add, Remove]
            }
            Self::NetworkFilter | Self::HttpFilter | Self::ListenerFilter => &[
                Merge,
                MergeAndReplaceList,
                Add,
                Remove,
                InsertBefore,
                InsertAfter,
                InsertFirst,
                Replace,
            ],
            Self::HttpRoute => &[
                Merge,
                MergeAndReplaceList,
                Add,
                Remove,
                InsertBefore,
                InsertAfter,
                InsertFirst,
            ],
            Self::RouteConfiguration | Self::Bootstrap => &[Merge, MergeAndReplaceList],
            Self::ExtensionConfig => &[Add],
        }
    }
}

impl Operation {
    /// As it is written.
    pub fn name(self) -> &'static str {
        name_of(OPERATIONS, self)
    }
}

fn name_of<T: PartialEq>(all: &[Named<T>], value: T) -> &'static str {
    let found = all.iter().find(|(.., known)| *known == value);
    found.map_or("", |(name, ..)| name)
}

impl Decode for EnvoyFilter {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            workload_selector: f.get("workloadSelector"),
            target_refs: f.get("targetRefs"),
            config_patches: f.get("configPatches"),
            priority: f.get("priority"),
        })
    }
}

impl Decode for TargetRef {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            group: f.get("group"),
            kind: f.get("kind"),
            name: f.get("name"),
            namespace: f.get("namespace"),
        })
    }
}

impl Decode for Priority {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        if at.asks(|| Schema::Whole(i32::MIN.into(), i32::MAX.into())) {
            return Self::default();
        }
        let number = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let number = number.and_then(|number| i32::try_from(number).ok());
        if number.is_none() {
            at.error(format!(
                "expected a whole number from {} to {}, found {}",
                i32::MIN,
                i32::MAX,
                describe(value)
            ));
        }
        Self(number.unwrap_or_default())
    }
}

impl Decode for ConfigPatch {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            apply_to: f.get("applyTo"),
            matching: f.get("match"),
            patch: f.get("patch"),
        })
    }
}

impl Decode for Patch {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            operation: f.get("operation"),
            value: f.get("value"),
            filter_class: f.get("filterClass"),
        })
    }
}

impl Decode for Json {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        if at.asks(|| Schema::Open) {
            return Self::default();
        }
        if !value.is_object() {
            at.error(format!("expected an object, found {}", describe(value)));
        }
        Self(value.clone())
    }
}

impl Decode for ApplyTo {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        one_of(value, at, APPLY_TO)
    }
}

impl Decode for Operation {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        one_of(value, at, OPERATIONS)
    }
}

impl Decode for FilterClass {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        one_of(
            value,
            at,
            &[
                ("UNSPECIFIED", 0, Self::Unspecified),
                ("AUTHN", 1, Self::Authn),
                ("AUTHZ", 2, Self::Authz),
                ("STATS", 3, Self::Stats),
            ],
        )
    }
}
