//! The names of the mesh and what they stand for: discovery's name table, made for looking up.
//!
//! A name is looked up as a resolver asks for it. Besides the hosts of the table these are found: short forms of hosts that
//! are formed as Kubernetes forms them, names below a wildcard host, and names to which a resolver has added one of its search
//! domains.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use pilothouse_xds::name_table::{self, KUBERNETES, NameInfo};
use prost::{DecodeError, Message as _};
use serde_json::{Value, json};

/// See the [module](self).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameTable {
    names: HashMap<Box<str>, Named>,
}

/// The addresses of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Of IPv4, in the order of the table.
    pub v4: Vec<Ipv4Addr>,
    /// Of IPv6, in the order of the table.
    pub v6: Vec<Ipv6Addr>,
}

/// What the names that are asked for here depend on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Local<'a> {
    /// The namespace whose services are found by their names alone.
    pub namespace: &'a str,
    /// The domains that resolvers on this machine add to names, without trailing dots.
    pub search: &'a [String],
}

/// A name that is one of the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// What it stands for.
    pub addresses: &'a Addresses,
    /// The name without the search domain, where the one asked for has one.
    pub without_search: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    form: Form,
    addresses: Arc<Addresses>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As it stands in the table.
    Host,
    /// `SERVICE.NAMESPACE` or longer.
    Short,
}

impl NameTable {
    /// Reads an encoded `istio.networking.nds.v1.NameTable`: the value of the resource's `Any`.
    ///
    /// # Errors
    /// The bytes are no such message.
    pub fn from_resource(bytes: &[u8]) -> Result<Self, DecodeError> {
        let message = name_table::NameTable::decode(bytes)?;
        let mut names = HashMap::with_capacity(message.table.len());
        let mut short = Vec::new();
        for (host, info) in &message.table {
            let addresses = Arc::new(Addresses::of(&info.ips));
            short.extend(short_forms(info).map(|name| (name, Arc::clone(&addresses))));
            let form = Form::Host;
            names.insert(normal(host), Named { form, addresses });
        }
        // What is a host of the table is nobody's short form.
        for (name, addresses) in short {
            let form = Form::Short;
            names.entry(name).or_insert(Named { form, addresses });
        }
        Ok(Self { names })
    }

    /// What `name` stands for, in lower case and without trailing dot; `None` if it is no name of the mesh.
    pub fn find<'a>(&'a self, name: &'a str, local: Local<'_>) -> Option<Found<'a>> {
        if let Some(addresses) = self.plain(name, local) {
            return Some(Found {
                addresses,
                without_search: None,
            });
        }
        local.search.iter().find_map(|domain| {
            let rest = name.strip_suffix(domain.as_str())?.strip_suffix('.')?;
            let is_host = || self.names.get(rest).is_some_and(|n| n.form == Form::Host);
            // The short form of one label is short for its own domain only, in which it has been looked up in full.
            let addresses =
                (rest.contains('.') || is_host()).then(|| self.plain(rest, local))??;
            Some(Found {
                addresses,
                without_search: Some(rest),
            })
        })
    }

    /// How many names there are, short forms included.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The hosts of the table with their addresses, for people.
    pub fn to_json(&self) -> Value {
        #[expect(clippy::disallowed_methods, reason = "the result is ordered")]
        let hosts = self.names.iter();
        let hosts = hosts.filter(|(_, named)| named.form == Form::Host);
        let addresses = |named: &Named| {
            let Addresses { v4, v6 } = &*named.addresses;
            json!({ "v4": v4, "v6": v6 })
        };
        hosts
            .map(|(name, named)| (name.to_string(), addresses(named)))
            .collect()
    }

    fn plain(&self, name: &str, local: Local<'_>) -> Option<&Addresses> {
        let exact = self.names.get(name);
        let own = || {
            let longer = format!("{name}.{}.svc", local.namespace);
            let named = self.names.get(longer.as_str());
            named.filter(|named| named.form == Form::Short && !local.namespace.is_empty())
        };
        let below_wildcard = || {
            let dots = name.match_indices('.');
            dots.filter_map(|(dot, _)| name.get(dot..))
                .find_map(|suffix| self.names.get(format!("*{suffix}").as_str()))
        };
        let named = exact.or_else(own).or_else(below_wildcard)?;
        Some(&named.addresses)
    }
}

impl Addresses {
    fn of(ips: &[String]) -> Self {
        let mut addresses = Self::default();
        for ip in ips.iter().filter_map(|ip| ip.parse().ok()) {
            match ip {
                IpAddr::V4(ip) => addresses.v4.push(ip),
                IpAddr::V6(ip) => addresses.v6.push(ip),
            }
        }
        addresses
    }
}

/// The further names of a host, of which that with the service's name alone depends on who asks.
fn short_forms(info: &NameInfo) -> impl Iterator<Item = Box<str>> {
    let is_formed =
        info.registry == KUBERNETES && !info.shortname.is_empty() && !info.namespace.is_empty();
    let formed = is_formed.then(|| {
        let name = format!("{}.{}", info.shortname, info.namespace);
        [normal(&format!("{name}.svc")), normal(&name)]
    });
    let stated = info.alt_hosts.iter().map(|name| normal(name));
    stated.chain(formed.into_iter().flatten())
}

fn normal(name: &str) -> Box<str> {
    name.strip_suffix('.')
        .unwrap_or(name)
        .to_ascii_lowercase()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> NameTable {
        let info = |ips: &[&str], short: &str| NameInfo {
            ips: ips.iter().map(|&ip| ip.into()).collect(),
            registry: if short.is_empty() {
                "External"
            } else {
                KUBERNETES
            }
            .into(),
            shortname: short.into(),
            namespace: if short.is_empty() { "" } else { "shop" }.into(),
            alt_hosts: Vec::new(),
        };
        let entries = [
            (
                "web.shop.svc.cluster.local",
                info(&["10.0.0.1", "fd00::1", "nonsense"], "web"),
            ),
            ("a.web.shop.svc.cluster.local", info(&["10.0.0.2"], "a.web")),
            ("other.shop", info(&["10.0.0.3"], "")),
            ("other.shop.svc.cluster.local", info(&["10.0.0.4"], "other")),
            ("API.Example.com.", info(&["10.0.0.5"], "")),
            ("*.wild.com", info(&["10.0.0.6"], "")),
            ("db", info(&["10.0.0.7"], "")),
        ];
        let table = entries.map(|(host, info)| (host.to_owned(), info)).into();
        NameTable::from_resource(&name_table::NameTable { table }.encode_to_vec()).unwrap()
    }

    #[test]
    fn names_are_found_as_resolvers_ask_for_them() {
        let table = table();
        let search = ["shop.svc.cluster.local", "svc.cluster.local", "lan"];
        let check = |namespace: &str, name: &str, expected: Option<(u8, Option<&str>)>| {
            let search = search.map(String::from);
            let local = Local {
                namespace,
                search: &search,
            };
            let found = table.find(name, local);
            let found = found.map(|f| (f.addresses.v4[0].octets()[3], f.without_search));
            assert_eq!(found, expected, "{name} in {namespace}");
        };
        check("shop", "web.shop.svc.cluster.local", Some((1, None)));
        check("shop", "web.shop.svc", Some((1, None)));
        check("bank", "web.shop", Some((1, None)));
        check("shop", "web", Some((1, None)));
        check("bank", "web", None);
        check("", "web", None);
        check("shop", "a.web", Some((2, None)));
        check("bank", "a.web", None);
        check("bank", "a.web.shop", Some((2, None)));
        check("shop", "other.shop", Some((3, None)));
        check("shop", "other", Some((4, None)));
        check("shop", "other.shop.svc", Some((4, None)));
        check("shop", "api.example.com", Some((5, None)));
        check("shop", "example.com", None);
        // With a search domain.
        check(
            "shop",
            "api.example.com.shop.svc.cluster.local",
            Some((5, Some("api.example.com"))),
        );
        check(
            "shop",
            "api.example.com.lan",
            Some((5, Some("api.example.com"))),
        );
        check("bank", "web.shop.lan", Some((1, Some("web.shop"))));
        check("shop", "web.lan", None);
        check("shop", "db.lan", Some((7, Some("db"))));
        check("shop", "api.example.comlan", None);
        check("shop", "lan", None);
        check("shop", ".lan", None);
        // Below a wildcard.
        check("shop", "x.wild.com", Some((6, None)));
        check("shop", "x.y.wild.com", Some((6, None)));
        check("shop", "wild.com", None);
        check(
            "shop",
            "x.wild.com.svc.cluster.local",
            Some((6, Some("x.wild.com"))),
        );
    }

    #[test]
    fn addresses_are_told_apart_and_nonsense_is_left_out() {
        let (table, local) = (table(), Local::default());
        let found = table.find("web.shop", local).unwrap();
        assert_eq!(found.addresses.v4, [Ipv4Addr::new(10, 0, 0, 1)]);
        assert_eq!(found.addresses.v6, ["fd00::1".parse::<Ipv6Addr>().unwrap()]);
    }

    #[test]
    fn what_is_no_table_is_an_error() {
        assert!(NameTable::from_resource(&[255]).is_err());
        assert!(NameTable::from_resource(&[]).unwrap().is_empty());
    }

    #[test]
    fn people_see_hosts_and_no_short_forms() {
        let page = table().to_json();
        assert_eq!(
            page["web.shop.svc.cluster.local"],
            json!({ "v4": ["10.0.0.1"], "v6": ["fd00::1"] })
        );
        assert_eq!(page.get("web.shop"), None);
    }
}
