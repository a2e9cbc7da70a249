//! Where discovery is, as it is written: one address, or several to fall back on.

use crate::relay::Address;

/// At least one address, the preferred one first. A type of its own because a list is something else to the parser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DiscoveryAddresses(pub Vec<Address>);

/// Reads `HOST:PORT,..`.
///
/// # Errors
/// It is not that; the text says how to write it.
pub(super) fn addresses(text: &str) -> Result<DiscoveryAddresses, String> {
    text.split(',')
        .map(|part| address(part.trim()))
        .collect::<Result<_, _>>()
        .map(DiscoveryAddresses)
}

fn address(text: &str) -> Result<Address, String> {
    const ADVICE: &str =
        "write it as HOST:PORT, such as discovery.example:15010, 10.0.0.1:15010 or [::1]:15010";
    let (host, port) = text.rsplit_once(':').ok_or(ADVICE)?;
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let host = match bare {
        Some(address) if address.parse::<std::net::Ipv6Addr>().is_ok() => address,
        None if is_name(host) => host,
        _ => return Err(ADVICE.to_owned()),
    };
    let port = port.parse().ok().filter(|port| *port != 0).ok_or(ADVICE)?;
    Ok(Address {
        host: host.to_owned(),
        port,
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_alike() {
        for text in ["pilot.test:15010", "10.0.0.1:1", "[::1]:15010"] {
            let DiscoveryAddresses(read) = addresses(text).unwrap();
            assert_eq!(
                read.iter().map(ToString::to_string).collect::<Vec<_>>(),
                [text]
            );
        }
        assert_eq!(addresses("a:1, b:2").unwrap().0.len(), 2);
        for wrong in [
            "",
            "a",
            "a:",
            ":1",
            "a:0",
            "::1:15010",
            "[a]:1",
            "a:1,",
            "http://a:1",
        ] {
            assert!(addresses(wrong).is_err(), "{wrong} was accepted");
        }
    }
}
