//! What secrets say of clusters: a pure reading, and who wins where two speak of one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use kube::config::{AuthInfo, Cluster, Kubeconfig};
use serde::Deserialize;

use crate::watch::Raw;

/// A secret of clusters: each key names one, and its value is a kubeconfig.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret {
    /// Its name, which is unique in its namespace.
    pub(super) name: Arc<str>,
    pub(super) created: Option<Timestamp>,
    /// By the name of the cluster.
    pub(super) kubeconfigs: BTreeMap<String, Result<String, String>>,
}

#[derive(Deserialize)]
struct Written {
    data: Option<BTreeMap<String, Option<String>>>,
}

impl Secret {
    pub(super) fn read(raw: &Raw<'_>) -> Self {
        let written: Result<Written, _> = serde_json::from_str(raw.text.get());
        let data = written.ok().and_then(|written| written.data);
        let kubeconfigs = data.into_iter().flatten().map(|(cluster, encoded)| {
            let text = decoded(&encoded.unwrap_or_default());
            (cluster, text.and_then(checked))
        });
        Self {
            name: raw.metadata.name.as_str().into(),
            created: raw.metadata.created,
            kubeconfigs: kubeconfigs.collect(),
        }
    }
}

/// A cluster as a secret describes it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Described {
    /// The secret's name.
    pub(super) by: Arc<str>,
    /// The kubeconfig. It holds credentials and is never shown.
    pub(super) kubeconfig: String,
}

/// The clusters that secrets describe.
#[derive(Default)]
pub(super) struct Wanted {
    /// Those that can be read, by name.
    pub(super) clusters: BTreeMap<String, Described>,
    /// Those whose kubeconfig cannot be used: one that runs goes on as it is.
    pub(super) unusable: BTreeSet<String>,
    /// What is wrong, for the log.
    pub(super) wrong: Vec<String>,
}

impl Wanted {
    /// What `secrets` describe: of several that describe one cluster, the oldest counts, then the first by name. `own` is the
    /// cluster that the secrets are in.
    pub(super) fn by<'a>(secrets: impl IntoIterator<Item = &'a Secret>, own: &str) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().collect();
        secrets.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
        let mut wanted = Self::default();
        for Secret {
            name, kubeconfigs, ..
        } in secrets
        {
            for (cluster, kubeconfig) in kubeconfigs {
                if let Err(problem) = wanted.take(name, cluster, kubeconfig, own) {
                    let problem = format!("secret {name}, cluster {cluster}: {problem}");
                    wanted.wrong.push(problem);
                }
            }
        }
        wanted
    }

    fn take(
        &mut self,
        by: &Arc<str>,
        cluster: &str,
        kubeconfig: &Result<String, String>,
        own: &str,
    ) -> Result<(), String> {
        if cluster == own {
            return Err("it is the cluster that the secret is in".into());
        }
        if let Some(Described { by, .. }) = self.clusters.get(cluster) {
            return Err(format!(
                "secret {by} describes it already, and is older or first by name"
            ));
        }
        let kubeconfig = match kubeconfig {
            Ok(text) => text.clone(),
            Err(why) => {
                self.unusable.insert(cluster.to_owned());
                return Err(why.clone());
            }
        };
        let by = Arc::clone(by);
        self.clusters
            .insert(cluster.to_owned(), Described { by, kubeconfig });
        Ok(())
    }
}

fn decoded(encoded: &str) -> Result<String, String> {
    let bytes = STANDARD
        .decode(encoded)
        .map_err(|error| format!("its value is not base64: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "its value is not text".into())
}

/// A kubeconfig, unless using it would run programs or read files of this machine: whoever may write a secret must not get to
/// do that.
fn checked(text: String) -> Result<String, String> {
    let read = Kubeconfig::from_yaml(&text).map_err(|error| error.to_string())?;
    let users = read
        .auth_infos
        .iter()
        .filter_map(|named| Some((&named.name, named.auth_info.as_ref()?)));
    for (name, user) in users {
        if let Some(field) = reaches_out(user) {
            return Err(format!(
                "users[{name}].{field} is not allowed in a secret: write what it stands for"
            ));
        }
    }
    let clusters = read
        .clusters
        .iter()
        .filter_map(|named| Some((&named.name, named.cluster.as_ref()?)));
    for (
        name,
        Cluster {
            certificate_authority,
            ..
        },
    ) in clusters
    {
        if certificate_authority.is_some() {
            return Err(format!(
                "clusters[{name}].certificate-authority is not allowed in a secret: write certificate-authority-data"
            ));
        }
    }
    Ok(text)
}

fn reaches_out(user: &AuthInfo) -> Option<&'static str> {
    let fields = [
        (user.exec.is_some(), "exec"),
        (user.auth_provider.is_some(), "auth-provider"),
        (user.token_file.is_some(), "tokenFile"),
        (user.client_certificate.is_some(), "client-certificate"),
        (user.client_key.is_some(), "client-key"),
    ];
    fields
        .into_iter()
        .find_map(|(is_there, name)| is_there.then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str, created: Option<i64>, clusters: &[(&str, &str)]) -> Secret {
        let kubeconfigs = clusters.iter().map(|(cluster, text)| {
            let text = decoded(&STANDARD.encode(text)).and_then(checked);
            ((*cluster).to_owned(), text)
        });
        Secret {
            name: name.into(),
            created: created.map(|second| Timestamp::from_second(second).unwrap()),
            kubeconfigs: kubeconfigs.collect(),
        }
    }

    const GOOD: &str = "clusters: [{name: c, cluster: {server: 'https://127.0.0.1'}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\nusers: [{name: u, user: {token: secret}}]";

    #[test]
    fn the_oldest_secret_of_a_cluster_counts() {
        let all = [
            secret("young", Some(9), &[("east", GOOD), ("west", GOOD)]),
            secret("old", Some(1), &[("east", GOOD)]),
            secret("a", Some(1), &[("home", GOOD)]),
        ];
        for turn in 0..all.len() {
            let mut all: Vec<_> = all.iter().collect();
            all.rotate_left(turn);
            let Wanted {
                clusters, wrong, ..
            } = Wanted::by(all, "home");
            let found: Vec<_> = clusters
                .iter()
                .map(|(cluster, found)| (cluster.as_str(), &*found.by))
                .collect();
            assert_eq!(found, [("east", "old"), ("west", "young")]);
            assert_eq!(
                wrong,
                [
                    "secret a, cluster home: it is the cluster that the secret is in",
                    "secret young, cluster east: secret old describes it already, and is older or first by name",
                ]
            );
        }
    }

    #[test]
    fn a_cluster_that_cannot_be_read_is_not_one_that_is_gone() {
        let broken = secret("s", None, &[("east", "clusters: ["), ("west", GOOD)]);
        let wanted = Wanted::by([&broken], "home");
        assert_eq!(wanted.clusters.keys().collect::<Vec<_>>(), ["west"]);
        assert_eq!(wanted.unusable, BTreeSet::from(["east".to_owned()]));
        assert_eq!(wanted.wrong.len(), 1);
    }

    #[test]
    fn a_kubeconfig_of_a_secret_reaches_for_nothing_of_this_machine() {
        let check = |user: &str, expected: &str| {
            let text = GOOD.replace("{token: secret}", user);
            let found = checked(text).map(drop).unwrap_err();
            assert!(found.contains(expected), "{user}: {found}");
        };
        check(
            "{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, interactiveMode: Never}}",
            "users[u].exec",
        );
        check(
            "{auth-provider: {name: gcp, config: {}}}",
            "users[u].auth-provider",
        );
        check("{tokenFile: /etc/shadow}", "users[u].tokenFile");
        check(
            "{client-certificate: /etc/shadow}",
            "users[u].client-certificate",
        );
        check("{client-key: /etc/shadow}", "users[u].client-key");
        let authority = GOOD.replace("server:", "certificate-authority: /etc/shadow, server:");
        assert!(
            checked(authority)
                .unwrap_err()
                .contains("clusters[c].certificate-authority ")
        );
        assert!(checked("clusters: {".into()).is_err());
        assert_eq!(checked(GOOD.into()), Ok(GOOD.into()));
    }
}
