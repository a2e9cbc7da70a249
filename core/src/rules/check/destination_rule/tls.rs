//! TLS that a client's proxy begins.

use crate::rules::at::At;
use crate::rules::check::name::plain_text;
use crate::rules::spec::destination_rule::{ClientTls, TlsMode};

pub(super) fn check(at: &At<'_>, tls: &ClientTls) {
    let files = [
        ("clientCertificate", &tls.client_certificate),
        ("privateKey", &tls.private_key),
        ("caCertificates", &tls.ca_certificates),
    ];
    for (name, path) in files.iter().chain(&[("caCrl", &tls.ca_crl)]) {
        plain_text(&at.field(name), path);
        if path.contains('~') {
            at.field(name).error_hint(
                "has a '~' in it",
                "proxies are told files by names in which it separates",
            );
        }
    }
    plain_text(&at.field("sni"), &tls.sni);
    let by_name = !tls.credential_name.is_empty();
    match tls.mode {
        TlsMode::Disable => {
            for (name, _) in files.iter().filter(|(_, path)| !path.is_empty()) {
                at.field(name).warning("has no effect with mode DISABLE");
            }
        }
        TlsMode::Simple => {}
        TlsMode::Mutual if by_name => {
            for (name, _) in files.iter().filter(|(_, path)| !path.is_empty()) {
                at.field(name)
                    .error_hint("is given beside credentialName", "use one of them");
            }
        }
        TlsMode::Mutual => {
            for (name, path) in [files[0], files[1]] {
                if path.is_empty() {
                    at.field(name).error_hint(
                        "is missing",
                        "mode MUTUAL needs a certificate of the client's own",
                    );
                }
            }
        }
        TlsMode::IstioMutual => {
            let all = files.iter().copied();
            for (name, _) in all
                .chain([("credentialName", &tls.credential_name)])
                .filter(|(_, text)| !text.is_empty())
            {
                at.field(name).error_hint(
                    "is given with mode ISTIO_MUTUAL",
                    "the mesh's own certificates are used",
                );
            }
        }
    }
    if by_name && matches!(tls.mode, TlsMode::Simple | TlsMode::Mutual) {
        at.field("credentialName").warning_hint(
            "is not served: connections fail, as no certificate can be believed",
            "name files instead: clientCertificate, privateKey, caCertificates",
        );
    }
    if !tls.ca_crl.is_empty() {
        at.field("caCrl")
            .warning("has no effect: revoked certificates are not looked for");
    }
    if tls.insecure_skip_verify == Some(true)
        && matches!(tls.mode, TlsMode::Simple | TlsMode::Mutual)
    {
        at.field("insecureSkipVerify")
            .warning("anybody can pretend to be the server");
    }
    for (index, name) in tls.subject_alt_names.iter().enumerate() {
        let names = at.field("subjectAltNames");
        if name.is_empty() {
            names.index(index).error("is empty");
        }
        plain_text(&names.index(index), name);
    }
}
