//! Discovery on a cluster, and what suites look at.

use std::path::Path;

use anyhow::ensure;
use pilothouse_tests::discovery::{Discovery, Options};
use pilothouse_tests::kube::KubeCluster;
use pilothouse_tests::wait::eventually;

use crate::world::{SOON, binary};

/// Discovery as the administrator of a cluster, ready.
pub(super) async fn discovery_on(
    cluster: &KubeCluster,
    dir: &Path,
    flags: &[(&str, &str)],
) -> Discovery {
    let mut options = Options::of(binary().await, "Kubernetes", dir).unwrap();
    options = options.arg("--kubeconfig", cluster.kubeconfig());
    for (flag, value) in flags {
        options = options.arg(flag, *value);
    }
    Discovery::start(options).await.unwrap()
}

/// Waits until a page of discovery's has all of these texts, and none of those.
pub(super) async fn page_says(discovery: &Discovery, page: &str, these: &[&str], not: &[&str]) {
    eventually(
        &format!("{page} says {these:?} and not {not:?}"),
        SOON,
        async || {
            let page = discovery.debug(page).await?.to_string();
            for text in these {
                ensure!(page.contains(text), "no {text:?} in {page}");
            }
            for text in not {
                ensure!(!page.contains(text), "{text:?} in {page}");
            }
            Ok(())
        },
    )
    .await
    .unwrap();
}
