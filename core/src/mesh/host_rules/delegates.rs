//! Rules that delegate to others: what the others say stands in the place of the routes that delegate.

use std::sync::Arc;

use super::virtuals::{sees_as, virtual_service};
use crate::mesh::Mesh;
use crate::registry::Problem;
use crate::rules::resolve::{DelegateRef, HttpAction, HttpRoute, VirtualService, delegated};

/// A rule with everything in its place.
pub(super) fn complete(mesh: &Mesh, rule: &Arc<VirtualService>) -> Arc<VirtualService> {
    if !delegates(rule) {
        return rule.clone();
    }
    Arc::new(VirtualService {
        http: routes(mesh, rule).0,
        ..VirtualService::clone(rule)
    })
}

/// Its HTTP routes with everything in its place, and what is wrong with rules that it delegates to.
pub(super) fn routes(mesh: &Mesh, rule: &VirtualService) -> (Vec<Arc<HttpRoute>>, Vec<Problem>) {
    if !delegates(rule) {
        return (rule.http.clone(), Vec::new());
    }
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for route in &rule.http {
        let HttpAction::Delegate(to) = &route.action else {
            all.push(route.clone());
            continue;
        };
        let at = format!("{}.delegate", route.place.field);
        match find(mesh, rule, to) {
            Ok(delegate) => within(route, delegate, &mut all, |what, hint| {
                problems.push(Problem::warning(&at, what).hint(hint));
            }),
            Err((what, hint)) => {
                let what = format!("{} {what}: the route is left out", to.key());
                problems.push(Problem::warning(at, what).hint(hint));
            }
        }
    }
    (all, problems)
}

fn delegates(rule: &VirtualService) -> bool {
    let mut routes = rule.http.iter();
    routes.any(|route| matches!(route.action, HttpAction::Delegate(_)))
}

/// The rule that is delegated to, or why there is none.
fn find<'a>(
    mesh: &'a Mesh,
    root: &VirtualService,
    to: &DelegateRef,
) -> Result<&'a Arc<VirtualService>, (&'static str, &'static str)> {
    let rule = mesh.rule(&to.key()).and_then(virtual_service);
    let Some(rule) = rule else {
        return Err(("does not exist", "create it, or correct the name"));
    };
    if !rule.hosts.is_empty() {
        let hint = "remove its hosts, or name a rule that has none";
        return Err(("has hosts and is in force by itself", hint));
    }
    if !sees_as(mesh, Some(&root.key.namespace), rule) {
        let hint = "add the namespace of this rule to its exportTo";
        return Err(("does not let this namespace see it", hint));
    }
    Ok(rule)
}

/// The routes of `delegate`, as far as they are for requests that `root` is for.
fn within(
    root: &Arc<HttpRoute>,
    delegate: &VirtualService,
    all: &mut Vec<Arc<HttpRoute>>,
    mut problem: impl FnMut(String, &'static str),
) {
    for leaf in &delegate.http {
        if matches!(leaf.action, HttpAction::Delegate(_)) {
            continue;
        }
        match delegated(root, leaf) {
            Some(route) => all.push(Arc::new(route)),
            None => problem(
                format!(
                    "{} of {} is for requests that this route is not for, and is left out",
                    leaf.place.field, delegate.key
                ),
                "let every match there be within one of the matches here",
            ),
        }
    }
}
