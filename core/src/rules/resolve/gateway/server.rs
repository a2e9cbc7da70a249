//! A server of a `Gateway`.

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{Host, NamespaceName, Protocol};
use crate::rules::check::CIPHERS;
use crate::rules::spec::gateway as spec;
use crate::rules::spec::gateway::{ServerTlsMode, TlsVersion};

/// A port that is listened on, for certain hosts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// Where it is written, such as `spec.servers[0]`.
    pub field: Arc<str>,
    /// The port as clients see it; 0 for a socket that is a file.
    pub port: u16,
    /// What the port is called.
    pub port_name: Arc<str>,
    /// What is spoken.
    pub protocol: Protocol,
    /// Where it listens.
    pub bind: Bind,
    /// For whom.
    pub hosts: Vec<ServerHost>,
    /// How TLS is dealt with.
    pub security: Security,
}

/// Where a server listens, beside its port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bind {
    /// On all addresses.
    All,
    /// On this address.
    Ip(IpAddr),
    /// On a file.
    File(Arc<str>),
}

/// A host that a server is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerHost {
    /// The namespace whose rules are for it; `None`: any.
    pub namespace: Option<NamespaceName>,
    /// The host, or a wildcard for several.
    pub host: Host,
}

/// How a server deals with TLS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Security {
    /// There is none.
    Plain,
    /// There is none, and clients are sent to where there is.
    Redirect,
    /// It passes through; rules say where to, by server name.
    Passthrough,
    /// It passes through; the server name itself says where to.
    AutoPassthrough,
    /// It ends here.
    Terminate(Arc<Termination>),
    /// It would end here, with certificates that nobody serves: the server is not opened.
    Unserved,
}

/// How TLS ends at a router.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Termination {
    /// The router's own certificates.
    pub own: ServerCertificate,
    /// What is asked of clients.
    pub client: ClientCertificate,
    /// The names of which a client's certificate has to bear one.
    pub subject_alt_names: Vec<Arc<str>>,
    /// Hashes of clients' keys, of which one has to fit.
    pub spki: Vec<Arc<str>>,
    /// Hashes of clients' certificates, of which one has to fit.
    pub hashes: Vec<Arc<str>>,
    /// The oldest and the youngest version.
    pub versions: (TlsVersion, TlsVersion),
    /// The ciphers; none: the proxy's.
    pub ciphers: Vec<Arc<str>>,
}

/// A router's own certificates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerCertificate {
    /// Files of certificates and keys.
    Files(Vec<(Arc<str>, Arc<str>)>),
    /// What was issued for the mesh.
    Mesh,
}

/// What is asked of clients.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientCertificate {
    /// Nothing.
    None,
    /// A certificate.
    Required {
        /// The file of the authorities that it is believed by; `None`: those of the mesh.
        authorities: Option<Arc<str>>,
    },
    /// A certificate, if they have one.
    Optional {
        /// The file of the authorities that it is believed by.
        authorities: Arc<str>,
    },
}

impl Server {
    /// Whether rules of this namespace may be for this host of it.
    pub fn hosts_for<'a>(&'a self, namespace: &'a NamespaceName) -> impl Iterator<Item = &'a Host> {
        let all = self.hosts.iter();
        all.filter(move |one| one.namespace.as_ref().is_none_or(|of| of == namespace))
            .map(|one| &one.host)
    }

    /// Whether connections are told apart by server name.
    pub fn is_tls(&self) -> bool {
        !matches!(self.security, Security::Plain | Security::Redirect)
    }
}

/// What a server means; `None` for one that could not have been accepted.
pub(super) fn server(
    namespace: &NamespaceName,
    index: usize,
    spec: &spec::Server,
) -> Option<Server> {
    let port = spec.port.as_ref()?;
    let protocol = Protocol::parse(&port.protocol)?;
    let hosts: Vec<_> = spec
        .hosts
        .iter()
        .filter_map(|text| host(namespace, text))
        .collect();
    Some(Server {
        field: format!("spec.servers[{index}]").into(),
        port: port.number.try_into().ok()?,
        port_name: port.name.as_str().into(),
        protocol,
        bind: bind(&spec.bind)?,
        hosts: (!hosts.is_empty()).then_some(hosts)?,
        security: security(protocol, spec.tls.as_ref())?,
    })
}

fn host(own: &NamespaceName, text: &str) -> Option<ServerHost> {
    let (namespace, name) = match text.split_once('/') {
        None | Some(("*", _)) => (None, text.rsplit('/').next()?),
        Some((".", name)) => (Some(own.clone()), name),
        Some((namespace, name)) => (Some(namespace.into()), name),
    };
    Some(ServerHost {
        namespace,
        host: Host::new(name).ok()?,
    })
}

fn bind(text: &str) -> Option<Bind> {
    match (text, text.strip_prefix("unix://")) {
        ("", _) => Some(Bind::All),
        (_, Some(path)) => Some(Bind::File(path.into())),
        _ => {
            let ip: IpAddr = text.parse().ok()?;
            // Clients of one version of IP, or of both.
            Some(if ip.is_unspecified() {
                Bind::All
            } else {
                Bind::Ip(ip)
            })
        }
    }
}

pub(in crate::rules::resolve) fn security(
    protocol: Protocol,
    tls: Option<&spec::ServerTls>,
) -> Option<Security> {
    let Some(tls) = tls else {
        return (!protocol.is_tls()).then_some(Security::Plain);
    };
    if !protocol.is_tls() {
        return Some(match tls.https_redirect {
            Some(true) => Security::Redirect,
            _ => Security::Plain,
        });
    }
    let by_name = !tls.credential_name.is_empty()
        || !tls.credential_names.is_empty()
        || !tls.ca_cert_credential_name.is_empty();
    let authorities = || text(&tls.ca_certificates);
    let client = match tls.mode {
        ServerTlsMode::Passthrough => return Some(Security::Passthrough),
        ServerTlsMode::AutoPassthrough => return Some(Security::AutoPassthrough),
        ServerTlsMode::IstioMutual => ClientCertificate::Required { authorities: None },
        _ if by_name => return Some(Security::Unserved),
        ServerTlsMode::Simple => ClientCertificate::None,
        ServerTlsMode::Mutual => ClientCertificate::Required {
            authorities: Some(authorities()?),
        },
        ServerTlsMode::OptionalMutual => ClientCertificate::Optional {
            authorities: authorities()?,
        },
    };
    let own = match tls.mode {
        ServerTlsMode::IstioMutual => ServerCertificate::Mesh,
        _ => ServerCertificate::Files(files(tls)?),
    };
    let all = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
    let known = |name: &&String| CIPHERS.contains(&name.as_str());
    let ciphers = tls.cipher_suites.iter().filter(known);
    Some(Security::Terminate(Arc::new(Termination {
        own,
        client,
        subject_alt_names: all(&tls.subject_alt_names),
        spki: all(&tls.verify_certificate_spki),
        hashes: all(&tls.verify_certificate_hash),
        versions: (tls.min_protocol_version, tls.max_protocol_version),
        ciphers: ciphers.map(|name| name.as_str().into()).collect(),
    })))
}

/// The certificates and keys of a router; those of the list, where there is one.
fn files(tls: &spec::ServerTls) -> Option<Vec<(Arc<str>, Arc<str>)>> {
    if tls.tls_certificates.is_empty() {
        let own = (text(&tls.server_certificate)?, text(&tls.private_key)?);
        return Some(vec![own]);
    }
    let listed = tls.tls_certificates.iter();
    Some(
        listed
            .filter_map(|one| Some((text(&one.server_certificate)?, text(&one.private_key)?)))
            .collect(),
    )
}

fn text(text: &str) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| text.into())
}
