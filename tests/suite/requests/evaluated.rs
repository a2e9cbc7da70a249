//! The same requests, evaluated.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use pilothouse_xds::evaluate::{
    Call, ClientHello, Configuration, Entrance, HeaderEdit, Headers, Outcome, Payload, Version,
    Walk, evaluate,
};

use super::outcome::{Seen, Who};
use super::table::Request;

/// What the evaluator says. `names` has the servers by their addresses.
pub(crate) fn send(
    configuration: &Configuration,
    request: &Request,
    to: SocketAddr,
    names: &BTreeMap<String, String>,
) -> (Seen, Walk) {
    let is_bytes = ["TCP", "TLS"].contains(&request.method.as_str());
    let call = Call {
        tls: (request.method == "TLS").then(|| ClientHello {
            server_name: Some(request.sni.clone().unwrap_or_else(|| "nobody.test".into())),
            application_protocols: Vec::new(),
        }),
        payload: if is_bytes {
            Payload::Bytes
        } else {
            Payload::Http(self::request(request))
        },
        ..Call::get(Entrance::Listener(to), "", "")
    };
    let walk = evaluate(configuration, &call);
    (seen(&walk, names), walk)
}

fn request(request: &Request) -> pilothouse_xds::evaluate::Request {
    pilothouse_xds::evaluate::Request {
        version: if request.http2 {
            Version::Http2
        } else {
            Version::Http11
        },
        method: request.method.clone(),
        scheme: request.http2.then(|| "http".into()),
        authority: request.authority.clone(),
        path: request.path.clone(),
        headers: request.headers.iter().cloned().collect(),
    }
}

fn seen(walk: &Walk, names: &BTreeMap<String, String>) -> Seen {
    let edits = walk
        .http
        .as_ref()
        .map(|http| http.response_headers.as_slice());
    let edits = edits.unwrap_or_default();
    match &walk.outcome {
        Outcome::Forwarded { request, .. } => {
            let endpoints = walk.cluster.iter().flat_map(|cluster| &cluster.endpoints);
            let all = endpoints
                .filter(|group| group.load > 0)
                .flat_map(|group| &group.endpoints);
            let who = all.map(|endpoint| {
                let name = names.get(&endpoint.address);
                name.unwrap_or(&endpoint.address).clone()
            });
            let own = [("x-from-server", "echo"), ("x-server-version", "1")];
            let mut seen = Seen {
                who: Who::Backend(who.collect()),
                answer: changed(Headers::from_iter(own), edits),
                ..Seen::default()
            };
            if let Some(request) = request {
                seen.method.clone_from(&request.method);
                seen.path.clone_from(&request.path);
                seen.host = request.authority.clone().unwrap_or_default();
                seen.request = map(&request.headers);
            }
            seen
        }
        Outcome::Answered {
            status,
            flag,
            headers,
            body,
            ..
        } => Seen {
            who: Who::Status(*status),
            flag: Some(flag.as_str().to_owned()),
            body: body.clone(),
            answer: changed(headers.clone(), edits),
            ..Seen::default()
        },
        Outcome::Closed { flag, .. } => Seen {
            flag: Some(flag.as_str().to_owned()),
            ..Seen::default()
        },
        Outcome::Refused { .. } => Seen::default(),
        Outcome::Unknown { why } => panic!("the evaluator does not know: {why}"),
    }
}

/// Headers of an answer after a route has changed them.
fn changed(mut headers: Headers, edits: &[HeaderEdit]) -> BTreeMap<String, String> {
    for edit in edits {
        edit.apply(&mut headers);
    }
    map(&headers)
}

fn map(headers: &Headers) -> BTreeMap<String, String> {
    headers
        .iter()
        .map(|(name, _)| (name.to_owned(), headers.get(name).unwrap_or_default()))
        .collect()
}
