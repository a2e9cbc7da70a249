//! Pages over HTTP: served within limits, and kept from what a web page makes a browser ask for.

mod serve;

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};
pub use serve::serve;

/// Who has connected; among the extensions of each request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Whether a request is for `localhost` or an IP address. A name that somebody has pointed at loopback is no name of this
/// machine.
pub fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    let host = host.to_str().unwrap_or("");
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_this_machine() {
        for (host, expected) in [
            ("localhost", true),
            ("LocalHost:9876", true),
            ("127.0.0.1:9876", true),
            ("[::1]:9876", true),
            ("[::1]", true),
            ("10.0.0.1", true),
            ("evil.example", false),
            ("evil.example:9876", false),
            ("localhost.evil.example", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            assert_eq!(names_this_machine(&headers), expected, "{host}");
        }
        assert!(names_this_machine(&HeaderMap::new()));
    }
}
