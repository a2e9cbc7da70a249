//! Probes over HTTP, as a kubelet makes them.

use ::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use anyhow::{Context, Result, bail};
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Application;
use super::redirect::{Target, split};
use super::spec::HttpGet;
use crate::fetch;

/// After so many redirects a kubelet gives up.
const REDIRECTS: usize = 10;

/// What concerns one connection, and the length of a body that is not there.
const NOT_PASSED_ON: [header::HeaderName; 8] = [
    header::HOST,
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::EXPECT,
];

/// Asks what `get` says, with the headers of the probe that came here, and answers with the application's status.
pub(super) async fn ask(get: &HttpGet, of: &Application, headers: &HeaderMap) -> Result<Response> {
    let authority = authority(get, of, headers);
    let mut headers = headers.clone();
    for name in NOT_PASSED_ON {
        headers.remove(name);
    }
    for (name, _) in &get.headers {
        headers.remove(name);
    }
    for (name, value) in &get.headers {
        headers.append(name, value.clone());
    }
    let mut target = Target {
        tls: get.tls,
        authority: authority
            .to_str()
            .context("its Host header is no text")?
            .to_owned(),
        path: get.path.to_string(),
    };
    let asked = target.clone();
    // The authority may be a name that the manifest made up: the first request goes to the port that it says.
    let mut port = get.port;
    for _ in 0..REDIRECTS {
        let (status, location) = once(get, of, &target, port, &headers).await?;
        let Some(location) = location.filter(|_| status.is_redirection()) else {
            return Ok(status.into_response());
        };
        let next = location
            .to_str()
            .ok()
            .and_then(|location| target.join(location))
            .filter(|next| {
                next.host().eq_ignore_ascii_case(asked.host()) || of.place.is(next.host())
            });
        match next {
            Some(next) => {
                port = if next.authority == asked.authority && next.tls == asked.tls {
                    get.port
                } else {
                    next.port()
                };
                target = next;
            }
            // To somewhere else, which is for the kubelet to judge.
            None => return Ok((status, [(header::LOCATION, location)]).into_response()),
        }
    }
    bail!("the application redirects again and again, {REDIRECTS} times")
}

/// The host that the application is asked for: the manifest's, else the one that the kubelet asked, with the application's
/// port in place of the agent's.
fn authority(get: &HttpGet, of: &Application, headers: &HeaderMap) -> HeaderValue {
    if let Some(authority) = &get.authority {
        return authority.clone();
    }
    let asked = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .map(|host| match split(host) {
            (name, Some(port)) if port == of.own_port => format!("{name}:{}", get.port),
            _ => host.to_owned(),
        });
    asked
        .and_then(|host| HeaderValue::from_str(&host).ok())
        .or_else(|| HeaderValue::from_str(&of.place.authority(get.port)).ok())
        .unwrap_or(HeaderValue::from_static("localhost"))
}

async fn once(
    get: &HttpGet,
    of: &Application,
    target: &Target,
    port: u16,
    headers: &HeaderMap,
) -> Result<(StatusCode, Option<HeaderValue>)> {
    let mut request = fetch::request(Method::GET, &target.authority, &target.path)
        .with_context(|| format!("asking for {}", target.path))?;
    request.headers_mut().extend(
        headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    request
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    let stream = of.place.connect(get.host.as_deref(), port).await?;
    let stream: Box<dyn Stream> = match target.tls {
        false => Box::new(stream),
        true => Box::new(of.tls.wrap(stream).await?),
    };
    let response = fetch::over(stream, request).await?;
    Ok((
        response.status(),
        response.headers().get(header::LOCATION).cloned(),
    ))
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
