//! What routers listen on: made again as a whole when a gateway, a rule that is bound to one, or a service that these lead to
//! has changed. What comes out equal stays the same, and without a router there is none of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::mesh::{Mesh, Touched};
use pilothouse_core::model::Host;
use pilothouse_core::rules::Resolved;
use pilothouse_core::rules::resolve::GatewayRef;

use super::super::memo::Memo;
use super::super::scope::stack;
use super::Change;
use crate::fanout::{Layer, Set};
use crate::inputs::Input;
use crate::inputs::router::{LostServer, Made, RouterInput, router};
use crate::patch::Patches;
use crate::selection::{ForGateways, ForRouter};
use crate::view::ViewKey;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Routers {
    made: BTreeMap<(ViewKey, ForGateways), Router>,
    lost_changed: bool,
}

#[derive(Default)]
struct Router {
    listeners: Arc<Layer>,
    routes: Arc<Layer>,
    listener_set: Arc<Set>,
    route_set: Arc<Set>,
    lost: BTreeSet<LostServer>,
    reads: Option<BTreeSet<Host>>,
}

impl Routers {
    /// Brings everything up to date that is `wanted`, and drops the rest.
    pub(super) fn follow(
        &mut self,
        change: &Change<'_>,
        touched: &Touched,
        wanted: BTreeSet<(ViewKey, ForGateways)>,
        memo: &mut Memo,
    ) {
        let before = self.made.len();
        self.made.retain(|key, _| wanted.contains(key));
        self.lost_changed |= self.made.len() != before;
        if wanted.is_empty() {
            return;
        }
        let rules_changed = change.all || binds(change, touched);
        for key in wanted {
            let known = self.made.get(&key);
            if known.is_some_and(|known| !rules_changed && !known.is_concerned(change.hosts)) {
                continue;
            }
            let mesh: &Mesh = change.after.mesh;
            let view = change.after.views.of(&key.0);
            let made = router(mesh, view, &key.0.namespace, &key.1);
            let patches = (key.1.listener_patches.clone(), key.1.route_patches.clone());
            let router = self.made.entry(key).or_default();
            self.lost_changed |= router.lost != made.lost;
            router.replace(made, &patches, memo);
        }
    }

    /// The listeners and routes of a projection.
    pub(super) fn sets(&self, key: &ViewKey, router: &ForRouter) -> Option<(&Arc<Set>, &Arc<Set>)> {
        let made = self.made.get(&(key.clone(), router.gateways.clone()))?;
        Some((&made.listener_set, &made.route_set))
    }

    /// What has no effect on one router or another.
    pub(super) fn lost(&self) -> impl Iterator<Item = &LostServer> {
        self.made.values().flat_map(|router| router.lost.iter())
    }

    /// Whether [`Routers::lost`] may have changed since this was asked last.
    pub(super) fn take_lost_changed(&mut self) -> bool {
        std::mem::take(&mut self.lost_changed)
    }
}

impl Router {
    fn is_concerned(&self, hosts: &BTreeSet<Host>) -> bool {
        match &self.reads {
            Some(reads) => hosts.iter().any(|host| reads.contains(host)),
            None => !hosts.is_empty(),
        }
    }

    fn replace(&mut self, made: Made, patches: &(Patches, Patches), memo: &mut Memo) {
        let (mut listeners, mut routes) = (Vec::new(), Vec::new());
        for input in made.inputs {
            let is_listener = matches!(input, Input::Router(RouterInput::Listener(_)));
            if is_listener {
                listeners.extend(memo.patched(input, &patches.0));
            } else {
                routes.extend(memo.patched(input, &patches.1));
            }
        }
        keep(&mut self.listeners, Layer::new(listeners));
        keep(&mut self.routes, Layer::new(routes));
        stack(&mut self.listener_set, vec![self.listeners.clone()]);
        stack(&mut self.route_set, vec![self.routes.clone()]);
        self.lost = made.lost;
        self.reads = made.reads;
    }
}

fn keep(old: &mut Arc<Layer>, new: Layer) {
    if !old.changed(&new).is_empty() {
        *old = Arc::new(new);
    }
}

/// Whether a rule has changed that says something to routers: a gateway, or a rule that is bound to one or delegated to.
fn binds(change: &Change<'_>, touched: &Touched) -> bool {
    let concerns = |mesh: &Mesh, key| match mesh.rule(key).and_then(|rule| rule.resolved.as_ref()) {
        Some(Resolved::Gateway(_) | Resolved::Ingress(_)) => true,
        Some(Resolved::Virtual(rule)) => {
            rule.hosts.is_empty() || rule.gateways.iter().any(|at| *at != GatewayRef::Mesh)
        }
        _ => false,
    };
    let mut keys = touched.rules.iter();
    keys.any(|key| concerns(change.before.mesh, key) || concerns(change.after.mesh, key))
}
