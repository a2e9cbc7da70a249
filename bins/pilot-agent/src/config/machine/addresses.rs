//! The addresses of the machine's interfaces, as the kernel tells them over netlink.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

/// `RTM_NEWADDR`, `RTM_GETADDR`, `NLMSG_ERROR`, `NLMSG_DONE` of rtnetlink(7).
const NEW: u16 = 20;
const GET: u16 = 22;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x1 | 0x300;
/// Sizes of a message's head, of what precedes an address's attributes, and of an attribute's head.
const HEAD: usize = 16;
const PREFACE: usize = 8;
const ATTRIBUTE: usize = 4;
/// `IFA_ADDRESS` and `IFA_LOCAL`: the second is the machine's own end of a point-to-point line.
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;

/// Addresses that other machines can know, in the order of the interfaces. None if the kernel does not tell.
pub(in crate::config) fn global_addresses() -> Vec<IpAddr> {
    addresses()
        .unwrap_or_default()
        .into_iter()
        .filter(is_global_unicast)
        .collect()
}

fn addresses() -> io::Result<Vec<IpAddr>> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        // 0, which is NETLINK_ROUTE.
        None,
    )?;
    send(&socket, &request(), SendFlags::empty())?;
    let mut found = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let (size, _) = recv(&socket, &mut buffer, RecvFlags::empty())?;
        let mut rest = buffer.get(..size).unwrap_or_default();
        while let Some(message) = Message::take(&mut rest) {
            match message.kind {
                NEW => found.extend(address(message.body)),
                DONE | ERROR => return Ok(found),
                _ => {}
            }
        }
        if size == 0 {
            return Ok(found);
        }
    }
}

/// Asks for all addresses of both families.
fn request() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + PREFACE);
    bytes.extend(((HEAD + PREFACE) as u32).to_ne_bytes());
    bytes.extend(GET.to_ne_bytes());
    bytes.extend(DUMP.to_ne_bytes());
    bytes.resize(HEAD + PREFACE, 0);
    bytes
}

struct Message<'a> {
    kind: u16,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The next message of a datagram.
    fn take(rest: &mut &'a [u8]) -> Option<Self> {
        let size = usize::try_from(u32::from_ne_bytes(*rest.first_chunk()?)).ok()?;
        let kind = u16::from_ne_bytes(*rest.get(4..)?.first_chunk()?);
        let body = rest.get(HEAD..size)?;
        *rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
        Some(Self { kind, body })
    }
}

/// The address in the body of a `RTM_NEWADDR`.
fn address(body: &[u8]) -> Option<IpAddr> {
    let mut attributes = body.get(PREFACE..)?;
    let mut found = None;
    while let Some((kind, value)) = attribute(&mut attributes) {
        let read = || -> Option<IpAddr> {
            match value.len() {
                4 => Some(Ipv4Addr::from(*value.first_chunk::<4>()?).into()),
                16 => Some(Ipv6Addr::from(*value.first_chunk::<16>()?).into()),
                _ => None,
            }
        };
        match kind {
            LOCAL => return read(),
            ADDRESS => found = read(),
            _ => {}
        }
    }
    found
}

fn attribute<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let size = usize::from(u16::from_ne_bytes(*rest.first_chunk()?));
    let kind = u16::from_ne_bytes(*rest.get(2..)?.first_chunk()?);
    let value = rest.get(ATTRIBUTE..size)?;
    *rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, value))
}

/// Neither loopback nor link-local, nor for many or for nobody.
fn is_global_unicast(address: &IpAddr) -> bool {
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        return false;
    }
    match address {
        IpAddr::V4(address) => !address.is_link_local() && !address.is_broadcast(),
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_of_loopback() {
        let all = addresses().unwrap();
        assert!(all.contains(&Ipv4Addr::LOCALHOST.into()), "{all:?}");
    }

    #[test]
    fn what_others_cannot_know_is_left_out() {
        for (text, expected) in [
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("10.0.0.1", true),
            ("::1", false),
            ("fe80::1", false),
            ("fd00::1", true),
        ] {
            assert_eq!(
                is_global_unicast(&text.parse().unwrap()),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn messages_that_are_cut_off_end_the_list() {
        let mut whole = request();
        whole.extend([1, 2, 3]);
        let mut rest = whole.as_slice();
        assert_eq!(Message::take(&mut rest).map(|m| m.kind), Some(GET));
        assert!(Message::take(&mut rest).is_none());
        assert_eq!(address(&[0; PREFACE]), None);
        // An attribute of the size 0 would never end.
        assert_eq!(address(&[0; PREFACE + 8]), None);
    }
}
