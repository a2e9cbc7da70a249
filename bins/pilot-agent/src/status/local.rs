//! Pages for this machine alone, although their port is open to others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use pilothouse_process::http::{Peer, names_this_machine};

/// Envoy hands on others' connections under these addresses, so they do not tell that a peer is on this machine.
const FORWARDED: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6)),
    IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6)),
];

/// Refuses requests from elsewhere, and those that a web page makes a browser on this machine send.
pub(super) async fn only_this_machine(request: Request, next: Next) -> Response {
    let here = request
        .extensions()
        .get::<Peer>()
        .is_some_and(|Peer(peer)| is_here(peer.ip()));
    if here
        && names_this_machine(request.headers())
        && !request.headers().contains_key(header::ORIGIN)
    {
        return next.run(request).await;
    }
    (
        StatusCode::FORBIDDEN,
        "only this machine may ask for that, as localhost\n",
    )
        .into_response()
}

fn is_here(peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    peer.is_loopback() && !FORWARDED.contains(&peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_on_this_machine() {
        for (peer, expected) in [
            ("127.0.0.1", true),
            ("127.0.0.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("127.0.0.6", false),
            ("::ffff:127.0.0.6", false),
            ("::6", false),
            ("10.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_here(peer.parse().unwrap()), expected, "{peer}");
        }
    }
}
