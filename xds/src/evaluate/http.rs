//! What the HTTP connection manager does with a request.

use std::collections::HashMap;
use std::net::SocketAddr;

use envoy_types::pb::envoy::config::route::v3::virtual_host::TlsRequirementType;
use envoy_types::pb::envoy::config::route::v3::{
    FilterConfig, RedirectAction, Route, RouteConfiguration, RouteMatch, VirtualHost,
    redirect_action,
};
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::{Cors, CorsPolicy};
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::HttpFault;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    RouteSpecifier, StripPortMode,
};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, http_filter,
};
use envoy_types::pb::google::protobuf::{Any, Duration};
use prost::{Message, Name};

use super::action::{self, Chosen};
use super::ask::{Call, Request, Version};
use super::configuration::Configuration;
use super::headers::Headers;
use super::path::{self, Normal};
use super::redirect::redirect;
use super::virtual_host::without_port;
use super::walk::{FlagCode, HttpStep, Outcome, Rule, Walk};
use super::{cors, fault, route, virtual_host};

/// A request as routes see it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) scheme: String,
    pub(super) authority: String,
    pub(super) path: String,
    pub(super) headers: Headers,
}

impl Asked {
    /// A header, or what stands where HTTP/2 has pseudo-headers.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        match name.to_ascii_lowercase().as_str() {
            ":method" => Some(self.method.clone()),
            ":scheme" => Some(self.scheme.clone()),
            ":authority" | "host" => Some(self.authority.clone()),
            ":path" => Some(self.path.clone()),
            other => self.headers.get(other),
        }
    }

    /// Whether it says that it is gRPC.
    pub(super) fn is_grpc(&self) -> bool {
        let kind = self.headers.get("content-type").unwrap_or_default();
        kind == "application/grpc" || kind.starts_with("application/grpc+")
    }
}

/// Lets a request go through the connection manager.
pub(super) fn go_on(
    configuration: &Configuration,
    call: &Call,
    request: &Request,
    manager: &HttpConnectionManager,
    over_tls: bool,
    to: Option<SocketAddr>,
    mut walk: Walk,
) -> Walk {
    let mut step = HttpStep {
        filters: manager
            .http_filters
            .iter()
            .map(|filter| filter.name.clone())
            .collect(),
        ..HttpStep::default()
    };
    let asked = match asked(manager, request, over_tls) {
        Ok(asked) => asked,
        Err(outcome) => {
            walk.http = Some(step);
            walk.outcome = outcome;
            return walk;
        }
    };
    let mut inline = None;
    let routes = match &manager.route_specifier {
        Some(RouteSpecifier::RouteConfig(routes)) => {
            inline = Some(routes);
            Some(routes)
        }
        Some(RouteSpecifier::Rds(rds)) => {
            step.route_configuration.clone_from(&rds.route_config_name);
            configuration.routes.get(&rds.route_config_name)
        }
        Some(RouteSpecifier::ScopedRoutes(_)) | None => None,
    };
    let Some(routes) = routes else {
        walk.outcome = answered(
            404,
            FlagCode::NR,
            format!(
                "the proxy has no route configuration {}",
                step.route_configuration
            ),
        );
        walk.http = Some(step);
        return walk;
    };
    step.route_configuration.clone_from(&routes.name);
    step.inline = inline.is_some();
    let outcome = routed(
        &Scene {
            configuration,
            call,
            manager,
            routes,
            to,
        },
        asked,
        &mut step,
        &mut walk,
    );
    walk.outcome = outcome;
    walk.http = Some(step);
    walk
}

/// What all that follows looks at.
pub(super) struct Scene<'a> {
    pub(super) configuration: &'a Configuration,
    pub(super) call: &'a Call,
    pub(super) manager: &'a HttpConnectionManager,
    pub(super) routes: &'a RouteConfiguration,
    pub(super) to: Option<SocketAddr>,
}

fn routed(scene: &Scene<'_>, asked: Asked, step: &mut HttpStep, walk: &mut Walk) -> Outcome {
    let choice = virtual_host::choose(scene.routes, &asked.authority);
    step.virtual_hosts_considered = choice.considered;
    let Some((host, domain)) = choice.found else {
        return answered(
            404,
            FlagCode::NR,
            format!("no virtual host stands for {}", asked.authority),
        );
    };
    step.virtual_host = Some(host.name.clone());
    step.domain = Some(domain.to_owned());
    if needs_tls(host, &asked) {
        let to_https = RedirectAction {
            scheme_rewrite_specifier: Some(redirect_action::SchemeRewriteSpecifier::HttpsRedirect(
                true,
            )),
            ..RedirectAction::default()
        };
        let (status, location) = redirect(&to_https, &RouteMatch::default(), &asked);
        return redirected(status, location, "the virtual host wants HTTPS");
    }
    let choice = route::choose(host, &asked, scene.call.random);
    step.routes_considered = choice.considered;
    let Some((place, found)) = choice.found else {
        return answered(
            404,
            FlagCode::NR,
            format!("no route of {} matches", host.name),
        );
    };
    step.route = Some(route::name(place, found));
    step.route_index = Some(place);
    step.matched = found
        .r#match
        .as_ref()
        .map(route::in_words)
        .unwrap_or_default();
    step.rule = Rule::of(found.metadata.as_ref());
    let chosen = action::choose(found, &asked, scene.call.random);
    walk.candidates.clone_from(&chosen.candidates);
    let settings = Settings {
        scene,
        host,
        route: found,
        chosen: &chosen,
    };
    match settings.filters(&asked, step) {
        Some(answer) => answer,
        None => action::act(scene, host, found, &chosen, asked, step, walk),
    }
}

/// Where the settings of a filter for a request may stand.
struct Settings<'a> {
    scene: &'a Scene<'a>,
    host: &'a VirtualHost,
    route: &'a Route,
    chosen: &'a Chosen<'a>,
}

impl Settings<'_> {
    /// Lets the filters see the request; one of them may answer.
    fn filters(&self, asked: &Asked, step: &mut HttpStep) -> Option<Outcome> {
        let random = self.scene.call.random;
        for filter in &self.scene.manager.http_filters {
            let Some(http_filter::ConfigType::TypedConfig(general)) = &filter.config_type else {
                continue;
            };
            if general.type_url == HttpFault::type_url() {
                let config: Option<HttpFault> = self.of(filter).or_else(|| read(general));
                let (faults, answer) = fault::inject(&config.unwrap_or_default(), asked, random);
                step.faults.extend(faults);
                if answer.is_some() {
                    return answer;
                }
            } else if general.type_url == Cors::type_url() {
                let Some(policy) = self.of::<CorsPolicy>(filter) else {
                    continue;
                };
                let done = cors::check(&policy, asked, random);
                if done.answer.is_some() {
                    return done.answer;
                }
                step.response_headers.extend(done.response);
            }
        }
        None
    }

    /// The most specific settings of a filter.
    fn of<M: Message + Name + Default>(&self, filter: &HttpFilter) -> Option<M> {
        let nothing = HashMap::new();
        let weighted = self
            .chosen
            .weighted
            .map_or(&nothing, |one| &one.typed_per_filter_config);
        [
            weighted,
            &self.route.typed_per_filter_config,
            &self.host.typed_per_filter_config,
            &self.scene.routes.typed_per_filter_config,
        ]
        .into_iter()
        .find_map(|level| level.get(&filter.name))
        .and_then(read)
    }
}

/// A message, or that in the wrapper which may switch a filter off.
fn read<M: Message + Name + Default>(any: &Any) -> Option<M> {
    if any.type_url == FilterConfig::type_url() {
        let wrapper = FilterConfig::decode(&*any.value).ok()?;
        return wrapper
            .config
            .filter(|_| !wrapper.disabled)
            .as_ref()
            .and_then(read);
    }
    (any.type_url == M::type_url())
        .then(|| M::decode(&*any.value).ok())
        .flatten()
}

fn needs_tls(host: &VirtualHost, asked: &Asked) -> bool {
    let is_https = asked.headers.get("x-forwarded-proto").as_deref() == Some("https");
    match host.require_tls() {
        TlsRequirementType::None => false,
        TlsRequirementType::All => !is_https,
        TlsRequirementType::ExternalOnly => {
            !is_https && asked.headers.get("x-envoy-internal").as_deref() != Some("true")
        }
    }
}

/// The request after the connection manager has made it canonical; or its answer to one that it does not take.
fn asked(
    manager: &HttpConnectionManager,
    request: &Request,
    over_tls: bool,
) -> Result<Asked, Outcome> {
    let mut headers = request.headers.clone();
    let scheme = if over_tls { "https" } else { "http" };
    let trusts_peer = !manager
        .use_remote_address
        .is_some_and(|use_it| use_it.value);
    match headers.get("x-forwarded-proto") {
        Some(said) if trusts_peer && (said == "http" || said == "https") => {}
        _ => headers.set("x-forwarded-proto", scheme),
    }
    if !trusts_peer {
        for name in ["x-envoy-internal", "x-envoy-original-path"] {
            headers.remove(name);
        }
    }
    let forwarded = headers.get("x-forwarded-proto");
    let scheme = request
        .scheme
        .clone()
        .or(forwarded)
        .unwrap_or_else(|| scheme.to_owned());
    let path = match path::normalized(manager, &request.path) {
        _ if request.method == "CONNECT" => request.path.clone(),
        Normal::Path(path) => path,
        Normal::Refused => {
            return Err(answered(
                400,
                FlagCode::None,
                "its path cannot be made canonical".into(),
            ));
        }
        Normal::Redirect(path) => {
            let why = "its path has escaped slashes";
            return Err(redirected(307, path, why));
        }
    };
    let mut authority = request.authority.to_ascii_lowercase();
    if manager.strip_port_mode == Some(StripPortMode::StripAnyHostPort(true)) {
        authority = without_port(&authority).to_owned();
    }
    if manager.strip_trailing_host_dot {
        authority = authority.trim_end_matches('.').to_owned();
    }
    // Names are compared in lower case and forwarded as they came.
    if authority.eq_ignore_ascii_case(&request.authority) {
        authority.clone_from(&request.authority);
    }
    if let Some(kind) = upgrade(request) {
        let allowed = manager.upgrade_configs.iter().any(|upgrade| {
            upgrade.upgrade_type.eq_ignore_ascii_case(&kind)
                && upgrade.enabled.is_none_or(|enabled| enabled.value)
        });
        if !allowed {
            let why = format!("upgrades to {kind} are not allowed");
            return Err(answered(403, FlagCode::None, why));
        }
    }
    Ok(Asked {
        method: request.method.clone(),
        scheme,
        authority,
        path,
        headers,
    })
}

/// What an HTTP/1.1 client wants to speak from now on.
fn upgrade(request: &Request) -> Option<String> {
    let connection = request.headers.get("connection")?;
    let asks = connection
        .split(',')
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    (asks && request.version != Version::Http2)
        .then(|| request.headers.get("upgrade"))
        .flatten()
}

/// An answer of Envoy's own without a body.
pub(super) fn answered(status: u16, flag: FlagCode, why: String) -> Outcome {
    Outcome::Answered {
        status,
        flag,
        why,
        headers: Headers::default(),
        body: String::new(),
    }
}

/// A redirect.
pub(super) fn redirected(status: u16, location: String, why: &str) -> Outcome {
    Outcome::Answered {
        status,
        flag: FlagCode::None,
        why: why.to_owned(),
        headers: Headers::from_iter([("location", location)]),
        body: String::new(),
    }
}

/// `1.5s`
pub(super) fn duration(duration: &Duration) -> String {
    let seconds = duration.seconds as f64 + f64::from(duration.nanos) / 1e9;
    format!("{seconds}s")
}
