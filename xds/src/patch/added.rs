//! Clusters and listeners that are there for a patch's sake alone.

use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use pilothouse_core::rules::resolve::envoy_filter::{ApplyTo, Patch};

use super::{Decoded, Outcome, uses};
use crate::resource::{Cause, Name};
use crate::translate::{Message, Output};

/// What these patches add. Of several with one name, the first counts.
pub(crate) fn added(patches: &[Arc<Decoded>]) -> (Vec<(Arc<Patch>, Output)>, Outcome) {
    let (mut all, mut outcome) = (Vec::<(_, Output)>::new(), Outcome::default());
    for patch in patches {
        let attempt = one(patch).and_then(|output| {
            let taken = all.iter().any(|(_, known)| {
                known.name == output.name
                    && known.message.resource_type() == output.message.resource_type()
            });
            if taken {
                return Err(format!("another patch adds {}", output.name));
            }
            all.push((patch.patch.clone(), output));
            Ok(true)
        });
        outcome.note(&patch.patch, attempt);
    }
    (all, outcome)
}

fn one(patch: &Decoded) -> Result<Output, String> {
    let (name, message) = match patch.patch.apply_to {
        ApplyTo::Cluster => {
            let cluster: Cluster = patch.message()?;
            (cluster.name.clone(), Message::Cluster(Box::new(cluster)))
        }
        _ => {
            let listener: Listener = patch.message()?;
            (listener.name.clone(), Message::Listener(Box::new(listener)))
        }
    };
    Ok(Output {
        name: Name::from(name),
        uses: uses::of(&message).unwrap_or_default(),
        message,
        causes: [Cause::Rule(patch.patch.rule.clone())].into(),
    })
}
