//! `Ingress`es that nobody may serve: their authors are told.

use std::collections::BTreeSet;
use std::mem;

use super::super::Join;
use crate::mesh::{MeshConfig, Rule, Unserved};
use crate::registry::{ObjectKey, Problem};

/// Of what somebody may have to be told.
#[derive(Debug, Default)]
pub(super) struct Due {
    rules: BTreeSet<ObjectKey>,
    all: bool,
}

impl Join {
    /// An `Ingress` has changed, or what says who serves it.
    pub(super) fn note_ingress(&mut self, key: &ObjectKey) {
        match key.kind.as_str() {
            "Ingress" => drop(self.rules.ingresses.rules.insert(key.clone())),
            "IngressClass" => self.rules.ingresses.all = true,
            _ => {}
        }
    }

    /// Mesh config decides about them otherwise than it did.
    pub(in super::super) fn note_all_ingresses(&mut self, before: &MeshConfig) {
        self.rules.ingresses.all |= before.ingress != self.mesh.config().ingress;
    }

    /// Tells authors whether anybody is to serve their objects, as far as that may have changed.
    pub(in super::super) fn report_ingresses(&mut self) {
        let Due { mut rules, all } = mem::take(&mut self.rules.ingresses);
        if all {
            rules.extend(self.mesh.ingresses().map(|one| one.key().clone()));
        }
        for rule in rules.iter().filter_map(|key| self.mesh.rule(key)) {
            self.status
                .references(&rule.source, self.unserved(rule).into_iter().collect());
        }
    }

    /// `None` for what is served, and for what is somebody else's.
    fn unserved(&self, rule: &Rule) -> Option<Problem> {
        let why = self.mesh.serves_ingress(rule.ingress()?).err()?;
        let path = match why {
            Unserved::Off | Unserved::Foreign => return None,
            Unserved::NoSuchClass => "spec.ingressClassName",
            Unserved::NoClass => "spec",
        };
        Some(Problem::warning(path, why.to_string()))
    }
}
