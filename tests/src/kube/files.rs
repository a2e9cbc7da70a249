//! The files of a cluster: keys, tokens, the policy of its audit and kubeconfigs.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::KeyPair;
use serde_json::json;

use super::{ADMIN, Options, PILOTHOUSE};

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// Where they are. The API server makes its own certificate, and keeps it over restarts.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    address: SocketAddr,
    users: Vec<String>,
}

/// The bearer token of a user.
pub(super) fn token(user: &str) -> String {
    format!("token-of-{user}")
}

impl Files {
    /// Writes what the API server needs.
    pub(super) fn write(dir: &Path, address: SocketAddr, options: &Options) -> Result<Self> {
        let mut users = vec![ADMIN.to_owned(), PILOTHOUSE.to_owned()];
        users.extend(options.users.iter().cloned());
        let tokens: String = users
            .iter()
            .map(|user| {
                let groups = if user == ADMIN { ",system:masters" } else { "" };
                format!("{},{user},{user}{groups}\n", token(user))
            })
            .collect();
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata"}],
        });
        let key = KeyPair::generate().context("making a key for service accounts")?;
        let this = Self {
            dir: dir.to_owned(),
            address,
            users,
        };
        for (file, text) in [
            (this.tokens(), tokens),
            (this.signing_key(), key.serialize_pem()),
            (this.verifying_key(), key.public_key_pem()),
            (this.audit_policy(), policy.to_string()),
        ] {
            std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(this)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.dir.join(format!("{user}.kubeconfig"))
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.dir.join("audit.log")
    }

    pub(super) fn api_server_flags(&self) -> Vec<OsString> {
        [
            ("--cert-dir", self.certificates()),
            ("--token-auth-file", self.tokens()),
            ("--service-account-signing-key-file", self.signing_key()),
            ("--service-account-key-file", self.verifying_key()),
        ]
        .into_iter()
        .flat_map(flag)
        .collect()
    }

    pub(super) fn audit_flags(&self) -> Vec<OsString> {
        [
            ("--audit-policy-file", self.audit_policy()),
            ("--audit-log-path", self.audit_log()),
        ]
        .into_iter()
        .flat_map(flag)
        .collect()
    }

    /// Writes a kubeconfig for every user; fails while the API server has not made its certificate.
    pub(super) fn write_kubeconfigs(&self) -> Result<()> {
        let file = self.certificates().join("apiserver.crt");
        let chain = std::fs::read_to_string(&file)
            .with_context(|| format!("reading {}", file.display()))?;
        // It is followed by the authority that has signed it.
        let authority = chain
            .rfind(CERTIFICATE)
            .filter(|at| *at > 0)
            .and_then(|at| chain.get(at..))
            .with_context(|| format!("{} has no authority yet", file.display()))?;
        for user in &self.users {
            let config = json!({
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": user,
                "contexts": [{"name": user, "context": {"cluster": "test", "user": user}}],
                "clusters": [{"name": "test", "cluster": {
                    "server": format!("https://{}", self.address),
                    "certificate-authority-data": STANDARD.encode(authority),
                }}],
                "users": [{"name": user, "user": {"token": token(user)}}],
            });
            let file = self.kubeconfig(user);
            std::fs::write(&file, config.to_string())
                .with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(())
    }

    fn certificates(&self) -> PathBuf {
        self.dir.join("certificates")
    }

    fn tokens(&self) -> PathBuf {
        self.dir.join("tokens.csv")
    }

    fn signing_key(&self) -> PathBuf {
        self.dir.join("service-accounts.key")
    }

    fn verifying_key(&self) -> PathBuf {
        self.dir.join("service-accounts.pub")
    }

    fn audit_policy(&self) -> PathBuf {
        self.dir.join("audit-policy.json")
    }
}

fn flag((name, value): (&str, PathBuf)) -> [OsString; 2] {
    [name.into(), value.into()]
}
