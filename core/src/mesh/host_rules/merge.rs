//! Rules for one host that merge: their routes in the order of their age, and behind them what is for everything.

use std::sync::Arc;

use crate::rules::resolve::{HttpMatch, HttpRoute, TcpRoute, VirtualService};

pub(super) fn http(rules: &[Arc<VirtualService>]) -> Vec<Arc<HttpRoute>> {
    let (mut some, mut all) = (Vec::new(), Vec::new());
    for rule in rules {
        for route in &rule.http {
            if route.matches.is_empty() {
                all.push(route.clone());
                break;
            }
            let (every, specific): (Vec<_>, Vec<_>) = route
                .matches
                .iter()
                .cloned()
                .partition(HttpMatch::is_catch_all);
            if every.is_empty() {
                some.push(route.clone());
                continue;
            }
            if !specific.is_empty() {
                some.push(with(route, specific));
            }
            let ends = every.iter().any(HttpMatch::is_for_everybody);
            all.push(with(route, every));
            if ends {
                // What follows in this rule has never been reached.
                break;
            }
        }
    }
    some.extend(all);
    some
}

pub(super) fn tcp(rules: &[Arc<VirtualService>]) -> Vec<Arc<TcpRoute>> {
    let (mut some, mut all) = (Vec::new(), Vec::new());
    for rule in rules {
        for route in &rule.tcp {
            if route.matches.is_empty() {
                all.push(route.clone());
                break;
            }
            some.push(route.clone());
        }
    }
    some.extend(all);
    some
}

fn with(route: &HttpRoute, matches: Vec<HttpMatch>) -> Arc<HttpRoute> {
    Arc::new(HttpRoute {
        matches,
        ..route.clone()
    })
}
