//! How a server deals with TLS.

use crate::model::Protocol;
use crate::rules::at::At;
use crate::rules::check::name::plain_text;
use crate::rules::spec::excerpt;
use crate::rules::spec::gateway::{ServerTls, ServerTlsMode, TlsVersion};

/// The ciphers that Envoy knows.
pub(crate) const CIPHERS: [&str; 18] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-PSK-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-PSK-AES128-CBC-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-PSK-AES256-CBC-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
    "PSK-AES128-CBC-SHA",
];
/// As many secrets as Istio takes: one certificate of each kind of key.
const MAX_NAMES: usize = 2;

pub(in crate::rules::check) fn server(
    at: &At<'_>,
    protocol: Option<Protocol>,
    tls: Option<&ServerTls>,
) {
    let Some(tls) = tls else {
        if protocol.is_some_and(Protocol::is_tls) {
            at.error_hint(
                "is missing",
                "ports with HTTPS or TLS say how TLS is dealt with",
            );
        }
        return;
    };
    let redirects = tls.https_redirect == Some(true);
    match protocol {
        Some(protocol) if protocol.is_http() && !redirects => at.error_hint(
            "is given for a port without TLS",
            "use protocol HTTPS, or httpsRedirect",
        ),
        Some(protocol) if !protocol.is_http() && !protocol.is_tls() => {
            at.error_hint("is given for a port without TLS", "use protocol TLS");
        }
        Some(protocol) if protocol.is_tls() && redirects => {
            at.field("httpsRedirect").warning_hint(
                "has no effect on a port with TLS",
                "it is for ports with protocol HTTP",
            );
        }
        _ => {}
    }
    files(at, tls);
    versions(at, tls);
    hashes(at, tls);
    for (index, name) in tls.subject_alt_names.iter().enumerate() {
        let names = at.field("subjectAltNames");
        if name.is_empty() {
            names.index(index).error("is empty");
        }
        plain_text(&names.index(index), name);
    }
    for (index, name) in tls.cipher_suites.iter().enumerate() {
        if !CIPHERS.contains(&name.as_str()) {
            at.field("cipherSuites").index(index).warning(format!(
                "{:?} is not a cipher that proxies know: it is left out",
                excerpt(name)
            ));
        }
    }
}

/// Certificates: where they come from, and where there must be none.
fn files(at: &At<'_>, tls: &ServerTls) {
    let own = [
        ("serverCertificate", &tls.server_certificate),
        ("privateKey", &tls.private_key),
    ];
    let all = [own[0], own[1], ("caCertificates", &tls.ca_certificates)];
    for (name, text) in all.iter().chain(&[("caCrl", &tls.ca_crl)]) {
        path(&at.field(name), text);
    }
    let list = at.field("tlsCertificates");
    for (index, one) in tls.tls_certificates.iter().enumerate() {
        let here = list.index(index);
        for (name, text) in [
            ("serverCertificate", &one.server_certificate),
            ("privateKey", &one.private_key),
        ] {
            if text.is_empty() {
                here.field(name).error("is missing");
            }
            path(&here.field(name), text);
        }
        path(&here.field("caCertificates"), &one.ca_certificates);
    }
    let by_name = names(at, tls);
    let given = |(name, text): &(&str, &String)| (!text.is_empty()).then(|| (*name).to_owned());
    let given: Vec<String> = all.iter().filter_map(given).collect();
    let need = |needed: &[(&str, &String)], mode: &str| {
        if by_name {
            return;
        }
        let is_listed = !tls.tls_certificates.is_empty();
        for (name, _) in needed
            .iter()
            .filter(|(name, text)| text.is_empty() && (!is_listed || *name == "caCertificates"))
        {
            at.field(name).error_hint(
                "is missing",
                format!("mode {mode} needs the path of a file here"),
            );
        }
    };
    match tls.mode {
        ServerTlsMode::Simple => need(&own, "SIMPLE"),
        ServerTlsMode::Mutual => need(&all, "MUTUAL"),
        ServerTlsMode::OptionalMutual => need(&all, "OPTIONAL_MUTUAL"),
        ServerTlsMode::IstioMutual => {
            for name in given {
                at.field(&name).error_hint(
                    "is given with mode ISTIO_MUTUAL",
                    "the mesh's own certificates are used",
                );
            }
            if by_name {
                at.error_hint(
                    "names a secret with mode ISTIO_MUTUAL",
                    "the mesh's own certificates are used",
                );
            }
        }
        ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough => {
            for name in given {
                at.field(&name)
                    .warning("has no effect where TLS passes through");
            }
        }
    }
    if !tls.ca_crl.is_empty() {
        at.field("caCrl")
            .warning("has no effect: revoked certificates are not looked for");
    }
}

/// Secrets by name. Returns whether there are any that matter.
fn names(at: &At<'_>, tls: &ServerTls) -> bool {
    if tls.credential_names.len() > MAX_NAMES {
        at.field("credentialNames").error(format!(
            "has {} items, the limit is {MAX_NAMES}",
            tls.credential_names.len()
        ));
    }
    let ends_here = matches!(
        tls.mode,
        ServerTlsMode::Simple | ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual
    );
    let named = [
        ("credentialName", !tls.credential_name.is_empty()),
        ("credentialNames", !tls.credential_names.is_empty()),
        (
            "caCertCredentialName",
            !tls.ca_cert_credential_name.is_empty(),
        ),
    ];
    for (name, _) in named.iter().filter(|(_, given)| *given && ends_here) {
        at.field(name).warning_hint(
            "is not served: this server is not opened",
            "name files instead: serverCertificate, privateKey, caCertificates",
        );
    }
    named.iter().any(|(_, given)| *given)
}

fn path(at: &At<'_>, path: &str) {
    plain_text(at, path);
    if path.contains('~') {
        at.error_hint(
            "has a '~' in it",
            "proxies are told files by names in which it separates",
        );
    }
}

fn versions(at: &At<'_>, tls: &ServerTls) {
    let (min, max) = (tls.min_protocol_version, tls.max_protocol_version);
    if max != TlsVersion::Auto && min > max {
        at.field("minProtocolVersion")
            .error("is younger than maxProtocolVersion");
    }
    if matches!(min, TlsVersion::V1_0 | TlsVersion::V1_1) {
        at.field("minProtocolVersion")
            .warning("is not safe: versions before 1.2 are broken");
    }
    if matches!(max, TlsVersion::V1_0 | TlsVersion::V1_1) && min == TlsVersion::Auto {
        at.field("maxProtocolVersion").error_hint(
            "is older than what is the oldest by default",
            "say minProtocolVersion, too",
        );
    }
}

fn hashes(at: &At<'_>, tls: &ServerTls) {
    for (index, text) in tls.verify_certificate_spki.iter().enumerate() {
        if !is_base64_of_32(text) {
            at.field("verifyCertificateSpki").index(index).error_hint(
                format!("{:?} is not a hash", excerpt(text)),
                "the SHA-256 of a public key, in base64",
            );
        }
    }
    for (index, text) in tls.verify_certificate_hash.iter().enumerate() {
        let hex: String = text.chars().filter(|c| *c != ':').collect();
        let is_hash = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hash {
            at.field("verifyCertificateHash").index(index).error_hint(
                format!("{:?} is not a hash", excerpt(text)),
                "the SHA-256 of a certificate, in hexadecimal",
            );
        }
    }
}

/// 32 bytes are 43 digits and a sign that fills up.
fn is_base64_of_32(text: &str) -> bool {
    text.strip_suffix('=').is_some_and(|digits| {
        digits.len() == 43
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    })
}
