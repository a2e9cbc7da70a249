//! Short names: what clients write instead of a host, and what their resolvers complete it to.

use pilothouse_core::model::Host;

/// What resolvers complete to `host` for clients in `domain`.
pub fn short_forms(host: &str, domain: &str) -> Vec<String> {
    if let Some((client_namespace, _)) = domain.split_once(".svc.") {
        // Kubernetes' names: SERVICE.NAMESPACE.svc.DOMAIN.
        let Some((name, _)) = host.split_once(".svc.") else {
            return Vec::new();
        };
        let Some((service, namespace)) = name.split_once('.') else {
            return Vec::new();
        };
        let mut names = vec![name.to_owned(), format!("{name}.svc")];
        if namespace == client_namespace {
            names.insert(0, service.to_owned());
        }
        return names;
    }
    let labels: Vec<&str> = host.split('.').collect();
    let shared = labels
        .iter()
        .rev()
        .zip(domain.split('.').rev())
        .take_while(|(a, b)| **a == *b)
        .count();
    let (own, common) = labels.split_at(labels.len() - shared);
    let Some(first_common) = common.first().filter(|_| !own.is_empty()) else {
        return Vec::new();
    };
    let short = own.join(".");
    // With a namespace in it, the name is also used with the next label.
    let longer = (own.len() == 2).then(|| format!("{short}.{first_common}"));
    std::iter::once(short)
        .chain(longer)
        .filter(|name| name != host)
        .collect()
}

/// The hosts that `short` may be a short form of for clients in `domain`. As with resolvers, the first that exists is meant.
pub fn completions(short: &str, domain: &str) -> impl Iterator<Item = Host> {
    let suffixes = std::iter::successors(Some(domain), |rest| Some(rest.split_once('.')?.1));
    suffixes.filter_map(move |suffix| {
        let host = Host::new(&format!("{short}.{suffix}")).ok()?;
        let is_short = short_forms(host.as_str(), domain)
            .iter()
            .any(|form| form == short);
        is_short.then_some(host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_are_what_resolvers_complete() {
        let check = |host: &str, domain: &str, expected: &[&str]| {
            assert_eq!(short_forms(host, domain), expected, "{host} in {domain}");
            for short in expected {
                let found = completions(short, domain).any(|found| found.as_str() == host);
                assert!(found, "{short} in {domain}");
            }
        };
        let shop = "shop.svc.cluster.local";
        check(
            "web.shop.svc.cluster.local",
            shop,
            &["web", "web.shop", "web.shop.svc"],
        );
        check(
            "web.bank.svc.cluster.local",
            shop,
            &["web.bank", "web.bank.svc"],
        );
        check("api.example.com", shop, &[]);
        check("svc.cluster.local", shop, &[]);
        check("web.service.consul", "service.consul", &["web"]);
        check("web.dc1.consul", "dc2.consul", &["web.dc1"]);
        check(
            "web.ns.dc2.consul",
            "x.dc2.consul",
            &["web.ns", "web.ns.dc2"],
        );
        check("foobar.com", "local.net", &[]);
        check("a.b.c.local", "x.local", &["a.b.c"]);
        check("service.consul", "service.consul", &[]);
        check("web", "", &[]);
    }

    #[test]
    fn what_is_nearer_is_meant_first() {
        let check = |short: &str, domain: &str, expected: &[&str]| {
            let found: Vec<Host> = completions(short, domain).collect();
            let found: Vec<&str> = found.iter().map(Host::as_str).collect();
            assert_eq!(found, expected, "{short} in {domain}");
        };
        let shop = "shop.svc.cluster.local";
        check("web", shop, &["web.shop.svc.cluster.local"]);
        check("web.shop", shop, &["web.shop.svc.cluster.local"]);
        check(
            "web.ns.a",
            "x.a.b",
            &["web.ns.a.x.a.b", "web.ns.a.a.b", "web.ns.a.b"],
        );
        check("web", "a.b", &["web.a.b", "web.b"]);
        check("web", "", &[]);
        check("-", shop, &[]);
    }
}
