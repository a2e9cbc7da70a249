//! Automatic addresses: for services that a rule declares without one, so that names can be told apart by address.
//!
//! Where an address lies follows from a hash of namespace and host. Of several services with one hash, the oldest has that
//! place and the others try further ones at distances of their own. Replicas and restarts therefore agree: nothing is given
//! before everything that is waited for has been delivered. From then on an address stays with its service as long as
//! anybody declares the host, even if an older service appears that would have had it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::Join;
use crate::model::{AutomaticAddress, Resolution, Service, ServiceKey, ServiceSource};

/// A label of a `ServiceEntry`; `false` says that it is to have no automatic address.
const LABEL: &str = "networking.istio.io/enable-autoallocate-ip";

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Whether addresses are given.
    complete: bool,
    /// Services that are to have an address and have none.
    waiting: BTreeSet<ServiceKey>,
    given: HashMap<ServiceKey, AutomaticAddress, RandomState>,
    taken: HashMap<AutomaticAddress, ServiceKey, RandomState>,
    /// Whether it has been said that there are no addresses left.
    said: bool,
}

impl Join {
    /// Everything that is waited for has been delivered. Returns whether there is anything to settle that was not before.
    pub(in crate::store) fn complete(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.automatic.complete, true);
        first && !self.automatic.waiting.is_empty()
    }

    /// The service with the address that it has been given; one that is to have an address is noted.
    pub(super) fn with_address(&mut self, service: Arc<Service>) -> Arc<Service> {
        let table = &mut self.automatic;
        let address = if !is_without_address(&service) {
            table.waiting.remove(&service.key);
            None
        } else if let Some(given) = table.given.get(&service.key) {
            Some(*given)
        } else {
            table.waiting.insert(service.key.clone());
            None
        };
        having(service, address)
    }

    /// Nobody declares the service: another may have its address.
    pub(super) fn release_address(&mut self, key: &ServiceKey) {
        let table = &mut self.automatic;
        table.waiting.remove(key);
        if let Some(address) = table.given.remove(key) {
            table.taken.remove(&address);
        }
    }

    /// Gives an address to each service that waits for one, the oldest first.
    pub(super) fn give_addresses(&mut self) {
        if !self.automatic.complete || self.automatic.waiting.is_empty() {
            return;
        }
        let waiting = self.automatic.waiting.iter();
        let mut services: Vec<Arc<Service>> = waiting
            .filter_map(|key| self.mesh.service(key).cloned())
            .collect();
        services.sort_by(|a, b| (a.age(), &a.key).cmp(&(b.age(), &b.key)));
        for service in services {
            let Some(address) = self.automatic.give(&service.key) else {
                return;
            };
            let key = service.key.clone();
            self.mesh
                .set_service(&key, Some(having(service, Some(address))));
            self.touched.services.insert(key);
        }
    }
}

impl Table {
    fn give(&mut self, key: &ServiceKey) -> Option<AutomaticAddress> {
        if self.taken.len() >= usize::from(AutomaticAddress::COUNT) {
            if !std::mem::replace(&mut self.said, true) {
                let limit = AutomaticAddress::COUNT;
                tracing::error!(target: "model", service = %key, limit, "no automatic address is left: give hosts addresses of their own, or opt out by the label {LABEL}: \"false\"");
            }
            return None;
        }
        let address = places(key).find(|address| !self.taken.contains_key(address))?;
        self.taken.insert(address, key.clone());
        self.given.insert(key.clone(), address);
        self.waiting.remove(key);
        Some(address)
    }
}

/// Whether a service has no address that clients could be told, and could be reached if it had one.
fn is_without_address(service: &Service) -> bool {
    let is_found = matches!(
        service.resolution,
        Resolution::ClientSide | Resolution::Dns | Resolution::DnsRoundRobin
    );
    let mut addresses = service.addresses.values().flatten();
    service.source == ServiceSource::Rule
        && is_found
        && !service.key.host.is_wildcard()
        && addresses.all(|address| address.ip().is_unspecified())
        && service.labels.get(LABEL) != Some("false")
}

fn having(mut service: Arc<Service>, address: Option<AutomaticAddress>) -> Arc<Service> {
    if service.automatic != address {
        Arc::make_mut(&mut service).automatic = address;
    }
    service
}

/// All addresses, in the order in which a service is to be given one of them. As their number is a prime, every distance leads
/// to all of them.
fn places(key: &ServiceKey) -> impl Iterator<Item = AutomaticAddress> {
    let (hash, count) = (hash(key), u64::from(AutomaticAddress::COUNT));
    let (first, distance) = (hash % count, 1 + (hash >> 32) % (count - 1));
    (0..count).filter_map(move |step| {
        let place = (first + step * distance) % count;
        AutomaticAddress::at(u16::try_from(place).ok()?)
    })
}

/// FNV-1a: the same on every machine and in every version.
fn hash(key: &ServiceKey) -> u64 {
    let (namespace, host) = (key.namespace.as_str(), key.host.as_str());
    let text = namespace.bytes().chain([b'/']).chain(host.bytes());
    text.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::build::key;

    #[test]
    fn places_are_all_addresses_in_an_order_that_never_changes() {
        let first: Vec<String> = places(&key("web"))
            .take(3)
            .map(|address| address.v4.to_string())
            .collect();
        assert_eq!(
            first,
            ["240.240.152.164", "240.240.133.7", "240.240.113.104"]
        );
        let all: BTreeSet<_> = places(&key("web")).map(|address| address.v4).collect();
        assert_eq!(all.len(), usize::from(AutomaticAddress::COUNT));
    }

    #[test]
    fn when_every_address_is_given_the_next_waits_for_one() {
        let mut table = Table::default();
        for n in 0..AutomaticAddress::COUNT {
            assert!(table.give(&key(&format!("s{n}"))).is_some(), "{n}");
        }
        assert_eq!(table.give(&key("late")), None);
    }
}
