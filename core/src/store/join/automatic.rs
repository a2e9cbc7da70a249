//! Automatic addresses: for services that a rule declares without one, so that names can be told apart by address.
//!
//! Where an address lies follows from a hash of namespace and host. Of several services with one hash, the oldest has that
//! place and the others try further ones at distances of their own. Replicas and restarts therefore agree: nothing is given
//! before everything that is waited for has been delivered. From then on an address stays with its service as long as
//! anybody declares the host, even if an older service appears that would have had it.
//!
//! A platform may keep addresses with the objects that declare services. What is kept goes before what was given, so that
//! replicas with different memories come to the same addresses. Of several services with which one address is kept, the oldest
//! has it.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use jiff::Timestamp;

use super::Join;
use crate::model::{AutomaticAddress, Resolution, Service, ServiceKey, ServiceSource};

/// A label of a `ServiceEntry`; `false` says that it is to have no automatic address.
const LABEL: &str = "networking.istio.io/enable-autoallocate-ip";

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Whether addresses are given.
    complete: bool,
    /// Services that are to have an address and have none, or that may have to have another.
    waiting: BTreeSet<ServiceKey>,
    given: HashMap<ServiceKey, AutomaticAddress, RandomState>,
    taken: HashMap<IpAddr, ServiceKey, RandomState>,
    /// The address that is kept with each service.
    kept: HashMap<ServiceKey, Kept, RandomState>,
    /// With which services each address is kept, the oldest first.
    claims: HashMap<IpAddr, BTreeSet<Claim>, RandomState>,
    /// Whether it has been said that there are no addresses left.
    said: bool,
}

/// Age, name and service.
type Claim = (Option<Timestamp>, Arc<str>, ServiceKey);

#[derive(Debug, PartialEq)]
struct Kept {
    address: AutomaticAddress,
    claim: Claim,
}

impl Join {
    /// Everything that is waited for has been delivered. Returns whether there is anything to settle that was not before.
    pub(in crate::store) fn complete(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.automatic.complete, true);
        first && !self.automatic.waiting.is_empty()
    }

    /// The service with the address that it has been given; one that is to have an address, or another, is noted.
    pub(super) fn with_address(&mut self, service: Arc<Service>) -> Arc<Service> {
        let table = &mut self.automatic;
        let eligible = is_without_address(&service);
        let kept = service
            .automatic
            .filter(|address| eligible && address.is_in_range())
            .map(|address| Kept {
                address,
                claim: (
                    service.created,
                    Arc::clone(&service.name),
                    service.key.clone(),
                ),
            });
        table.keep(&service.key, kept);
        let address = if eligible {
            let given = table.given.get(&service.key).copied();
            if given.is_none()
                || table
                    .upheld(&service.key)
                    .is_some_and(|kept| given != Some(kept))
            {
                table.waiting.insert(service.key.clone());
            }
            given
        } else {
            table.waiting.remove(&service.key);
            None
        };
        having(service, address)
    }

    /// Nobody declares the service: another may have its address.
    pub(super) fn release_address(&mut self, key: &ServiceKey) {
        let table = &mut self.automatic;
        table.keep(key, None);
        table.take_back(key);
        table.waiting.remove(key);
    }

    /// Gives an address to each service that waits for one: what is kept with it, and then the oldest first.
    pub(super) fn give_addresses(&mut self) {
        let table = &mut self.automatic;
        if !table.complete || table.waiting.is_empty() {
            return;
        }
        let mut news = BTreeSet::new();
        for key in table.waiting.clone() {
            if let Some(address) = table.upheld(&key) {
                news.extend(table.move_to(&key, address));
            }
        }
        let lacking = |key: &&ServiceKey| !table.given.contains_key(*key);
        let lacking = table.waiting.iter().filter(lacking);
        let mut services: Vec<_> = lacking.filter_map(|key| self.mesh.service(key)).collect();
        services.sort_by(|a, b| (a.age(), &a.key).cmp(&(b.age(), &b.key)));
        let keys: Vec<_> = services.iter().map(|service| service.key.clone()).collect();
        table.waiting = keys.iter().cloned().collect();
        for key in keys {
            if table.give(&key).is_none() {
                break;
            }
            news.insert(key);
        }
        for key in news {
            let Some(service) = self.mesh.service(&key).cloned() else {
                continue;
            };
            let address = self.automatic.given.get(&key).copied();
            if service.automatic != address {
                self.mesh.set_service(&key, Some(having(service, address)));
                self.touched.services.insert(key);
            }
        }
    }
}

impl Table {
    /// This is kept with a service. Services with which the same address is kept are noted, as another may be the oldest.
    fn keep(&mut self, key: &ServiceKey, kept: Option<Kept>) {
        if self.kept.get(key) == kept.as_ref() {
            return;
        }
        if let Some(Kept { address, claim }) = self.kept.remove(key) {
            for ip in ips(address) {
                let Some(claims) = self.claims.get_mut(&ip) else {
                    continue;
                };
                claims.remove(&claim);
                self.waiting
                    .extend(claims.iter().map(|(_, _, key)| key.clone()));
                if claims.is_empty() {
                    self.claims.remove(&ip);
                }
            }
        }
        if let Some(kept) = kept {
            for ip in ips(kept.address) {
                let claims = self.claims.entry(ip).or_default();
                claims.insert(kept.claim.clone());
            }
            self.kept.insert(key.clone(), kept);
        }
    }

    /// The address that is kept with a service and with none that is older.
    fn upheld(&self, key: &ServiceKey) -> Option<AutomaticAddress> {
        let kept = self.kept.get(key)?;
        let first = |ip| {
            let claims = self.claims.get(&ip);
            claims.and_then(BTreeSet::first) == Some(&kept.claim)
        };
        ips(kept.address)
            .into_iter()
            .all(first)
            .then_some(kept.address)
    }

    /// Gives a service this address, whoever has it. Returns whose address changes.
    fn move_to(&mut self, key: &ServiceKey, address: AutomaticAddress) -> Vec<ServiceKey> {
        let mut changed = vec![key.clone()];
        self.take_back(key);
        for ip in ips(address) {
            if let Some(other) = self.taken.get(&ip).cloned() {
                self.take_back(&other);
                self.waiting.insert(other.clone());
                changed.push(other);
            }
            self.taken.insert(ip, key.clone());
        }
        self.given.insert(key.clone(), address);
        changed
    }

    fn take_back(&mut self, key: &ServiceKey) {
        if let Some(address) = self.given.remove(key) {
            for ip in ips(address) {
                self.taken.remove(&ip);
            }
        }
    }

    fn give(&mut self, key: &ServiceKey) -> Option<AutomaticAddress> {
        let is_free = |address: &AutomaticAddress| {
            let mut ips = ips(*address).into_iter();
            ips.all(|ip| !self.taken.contains_key(&ip))
        };
        let is_full = self.given.len() >= usize::from(AutomaticAddress::COUNT);
        let free = (!is_full).then(|| places(key).find(is_free)).flatten();
        let Some(address) = free else {
            if !std::mem::replace(&mut self.said, true) {
                let limit = AutomaticAddress::COUNT;
                tracing::error!(target: "model", service = %key, limit, "no automatic address is left: give hosts addresses of their own, or opt out by the label {LABEL}: \"false\"");
            }
            return None;
        };
        for ip in ips(address) {
            self.taken.insert(ip, key.clone());
        }
        self.given.insert(key.clone(), address);
        self.waiting.remove(key);
        Some(address)
    }
}

fn ips(address: AutomaticAddress) -> [IpAddr; 2] {
    [address.v4.into(), address.v6.into()]
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
pub(in crate::store) fn places(key: &ServiceKey) -> impl Iterator<Item = AutomaticAddress> {
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
