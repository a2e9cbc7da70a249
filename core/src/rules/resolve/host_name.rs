//! Names of hosts in rules, completed by the rule of names of the platform that the object was read from.

use crate::model::Host;
use crate::registry::Meta;

/// The host that `text` means in an object: a name without a dot is completed as the object's platform completes it, and stands
/// for itself where there is no such rule. `None` for what is no name of a host.
pub fn host_name(text: &str, meta: &Meta) -> Option<Host> {
    let is_short = !text.contains('.') && text != "*";
    match &meta.domain {
        Some(domain) if is_short => Host::new(&format!("{text}.{domain}")).ok(),
        _ => Host::new(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_completed_where_the_platform_has_such_names() {
        let check = |domain: Option<&str>, text: &str, expected: Option<&str>| {
            let meta = Meta {
                domain: domain.map(Into::into),
                ..Meta::new("DestinationRule", "shop", "it")
            };
            let found = host_name(text, &meta);
            assert_eq!(found.as_ref().map(Host::as_str), expected, "{text}");
        };
        let cluster = Some("shop.svc.cluster.local");
        check(cluster, "web", Some("web.shop.svc.cluster.local"));
        check(cluster, "web.bank", Some("web.bank"));
        check(cluster, "*", Some("*"));
        check(cluster, "*.local", Some("*.local"));
        check(Some("service.consul"), "web", Some("web.service.consul"));
        check(None, "web", Some("web"));
        check(None, "a b", None);
    }
}
