//! The kinds of rules on an API server that has only what `pilotctl crds` prints: it takes the definitions, keeps every field
//! in every version, takes every good rule of this repository and refuses bad ones with a reason.

mod refused;
mod samples;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use http::Request;
use pilothouse_core::rules::schema::{Schema, schema};
use pilothouse_core::rules::{RuleKind, kinds};
use pilothouse_tests::kube::{ADMIN, KubeCluster, Options};
use pilothouse_tests::wait::eventually;
use serde_json::{Map, Value, json};

use crate::world::SOON;

/// The kinds that have to be defined.
fn defined() -> impl Iterator<Item = &'static RuleKind> {
    kinds().iter().filter(|kind| !kind.is_of_kubernetes())
}

/// What `pilotctl crds` prints.
pub(super) async fn printed(args: &[&str]) -> Result<String> {
    let line = ["pilotctl", "crds"].iter().chain(args);
    let line = pilotctl::cli::CommandLine::try_parse_from(line)?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = pilotctl::cli::run(line, &mut out, &mut err).await?;
    ensure!(code == 0, "{}", String::from_utf8_lossy(&err));
    Ok(String::from_utf8(out)?)
}

/// The definitions as a list of objects.
async fn definitions() -> Result<Vec<Value>> {
    let mut list: Value = serde_json::from_str(&printed(&["-o", "json"]).await?)?;
    match list["items"].take() {
        Value::Array(items) => Ok(items),
        other => bail!("no list: {other}"),
    }
}

/// Applies definitions as a person does, and waits until the API server serves them.
pub(super) async fn apply(cluster: &KubeCluster, text: &str) -> Result<()> {
    let args = ["apply", "--server-side", "-f", "-"];
    cluster.kubectl(&args, text).await?;
    let args = [
        "wait",
        "--for=condition=Established",
        "crd",
        "--all",
        "--timeout=60s",
    ];
    cluster.kubectl(&args, "").await?;
    Ok(())
}

/// An object in one of the versions of its kind.
fn object(kind: &RuleKind, version: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": format!("{}/{version}", kind.group),
        "kind": kind.name,
        "metadata": {"namespace": "default", "name": name},
        "spec": spec,
    })
}

/// The plural of a kind of rules.
pub(super) fn plural(kind: &str) -> String {
    let name = kind.to_lowercase();
    match name.strip_suffix('y') {
        Some(stem) if !stem.ends_with('a') => format!("{stem}ies"),
        _ => format!("{name}s"),
    }
}

fn collection(object: &Value) -> Result<String> {
    let version = object["apiVersion"].as_str().context("no apiVersion")?;
    let kind = object["kind"].as_str().context("no kind")?;
    let plural = plural(kind);
    Ok(format!("/apis/{version}/namespaces/default/{plural}"))
}

/// Creates an object of which every field has to be known; with `dryRun=All` it is only looked at.
async fn create(client: &kube::Client, object: &Value, dry: bool) -> Result<Value, kube::Error> {
    let dry = if dry { "&dryRun=All" } else { "" };
    let path = collection(object).unwrap_or_default();
    let request = Request::post(format!("{path}?fieldValidation=Strict{dry}"))
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(object.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    client.request(request).await
}

/// Something that may be written there, with every field that there is.
fn sample(schema: &Schema) -> Value {
    match schema {
        Schema::Object(object) => {
            let fields = object.fields.iter();
            let all: Map<_, _> = fields
                .map(|field| (field.name.to_owned(), sample(&field.schema)))
                .collect();
            Value::Object(all)
        }
        Schema::Map(values) => json!({"a": sample(values)}),
        Schema::List(items) => json!([sample(items)]),
        Schema::Text => json!("text"),
        Schema::Bool => json!(true),
        Schema::Whole(least, most) => json!(if *least < 0 { least } else { most }),
        Schema::Number => json!(1.5),
        Schema::Duration => json!("1h1.5s"),
        Schema::OneOf(names) => json!(names.last()),
        Schema::Open => json!({"any": ["thing", {"at": 1}]}),
        Schema::Any => json!([{"any": "thing"}]),
    }
}

/// Takes away what an API server refuses beside what no field is for: no object could have every field otherwise.
fn loosen(schema: &mut Value) {
    let kept = |name: &str| {
        matches!(
            name,
            "type" | "properties" | "items" | "additionalProperties" | "enum" | "pattern"
        ) || name == "x-kubernetes-preserve-unknown-fields"
            || name == "x-kubernetes-int-or-string"
    };
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    fields.retain(|name, _| kept(name));
    // Of patterns, the one of durations stays.
    let is_duration = |pattern: &Value| pattern.to_string().contains("µs");
    if !fields.get("pattern").is_some_and(is_duration) {
        fields.remove("pattern");
    }
    for (name, below) in fields.iter_mut() {
        match (name.as_str(), below) {
            ("properties", Value::Object(all)) => all.values_mut().for_each(loosen),
            ("items" | "additionalProperties", below) => loosen(below),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_kept_in_every_version() -> Result<()> {
    let Some(cluster) = KubeCluster::get(Options::default()).await else {
        return Ok(());
    };
    let mut loose = definitions().await?;
    for definition in &mut loose {
        let versions = definition["spec"]["versions"].as_array_mut();
        for version in versions.into_iter().flatten() {
            loosen(&mut version["schema"]["openAPIV3Schema"]);
        }
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": loose});
    apply(&cluster, &list.to_string()).await?;
    let client = cluster.client_of(ADMIN)?;
    for kind in defined() {
        let spec = sample(&schema(kind));
        for written in kind.versions {
            let object = object(kind, written, written, &spec);
            let name = format!("{} {written}", kind.name);
            create(&client, &object, false)
                .await
                .context(name.clone())?;
            for read in kind.versions {
                let path = format!(
                    "/apis/{}/{read}/namespaces/default/{}/{written}",
                    kind.group,
                    plural(kind.name)
                );
                let found = cluster.get_path(&path).await?;
                assert_eq!(
                    found["apiVersion"],
                    format!("{}/{read}", kind.group),
                    "{name}"
                );
                assert_eq!(found["spec"], spec, "{name} read as {read}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn good_rules_are_taken_and_bad_ones_refused() -> Result<()> {
    let Some(cluster) = KubeCluster::get(Options::default()).await else {
        return Ok(());
    };
    let text = printed(&[]).await?;
    apply(&cluster, &text).await?;
    // Once more: nothing changes.
    apply(&cluster, &text).await?;
    conditions(&cluster).await?;
    let client = cluster.client_of(ADMIN)?;
    samples::are_taken(&client).await?;
    refused::bad_ones(&client).await?;
    columns(&cluster).await?;
    status(&cluster).await
}

/// All are served, and nothing is said against any.
async fn conditions(cluster: &KubeCluster) -> Result<()> {
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let found = cluster.get_path(path).await?;
    let items = found["items"].as_array().context("no list")?;
    assert_eq!(items.len(), defined().count());
    for item in items {
        let conditions = item["status"]["conditions"].as_array();
        let mut held: Vec<_> = conditions
            .into_iter()
            .flatten()
            .map(|held| format!("{}={}", held["type"], held["status"]))
            .collect();
        held.sort();
        assert_eq!(
            held,
            ["\"Established\"=\"True\"", "\"NamesAccepted\"=\"True\"",],
            "{}",
            item["metadata"]["name"]
        );
    }
    Ok(())
}

/// The words of each line that kubectl prints.
async fn table(cluster: &KubeCluster, args: &[&str]) -> Result<Vec<Vec<String>>> {
    let text = cluster.kubectl(args, "").await?;
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    Ok(text.lines().map(words).collect())
}

/// What people see of rules.
async fn columns(cluster: &KubeCluster) -> Result<()> {
    cluster.namespace("shown", &[]).await?;
    let rules = "
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: web, namespace: shown}
spec: {hosts: [web.test], gateways: [mesh], http: [{route: [{destination: {host: web.test}}]}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: shown}
spec: {hosts: [web.test], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata: {name: web, namespace: shown}
spec: {host: web.test}
";
    cluster.apply(rules).await?;
    let expected: [(&str, &[&str], &[&str]); 3] = [
        (
            "vs",
            &["NAME", "GATEWAYS", "HOSTS", "AGE"],
            &["web", "[\"mesh\"]", "[\"web.test\"]"],
        ),
        (
            "se",
            &["NAME", "HOSTS", "LOCATION", "RESOLUTION", "AGE"],
            &["web", "[\"web.test\"]", "MESH_EXTERNAL", "DNS"],
        ),
        ("dr", &["NAME", "HOST", "AGE"], &["web", "web.test"]),
    ];
    for (kind, head, row) in expected {
        let lines = table(cluster, &["get", kind, "-n", "shown"]).await?;
        assert_eq!(lines[0], head);
        assert_eq!(lines[1][..row.len()], *row);
    }
    let all = table(
        cluster,
        &["get", "networking-istio-io", "-n", "shown", "-o", "name"],
    )
    .await?;
    assert_eq!(
        all.concat(),
        [
            "destinationrule.networking.istio.io/web",
            "serviceentry.networking.istio.io/web",
            "virtualservice.networking.istio.io/web",
        ]
    );
    let told = cluster.kubectl(&["explain", "vs.spec.http.timeout"], "");
    let told = told.await?;
    ensure!(told.contains("How long they may take"), "{told}");
    Ok(())
}

/// Controllers write the status beside each other, and authors the rest.
async fn status(cluster: &KubeCluster) -> Result<()> {
    let condition = |kind: &str, status: &str| {
        json!({"type": kind, "status": status, "reason": "Why", "message": "because", "observedGeneration": 1,
               "lastTransitionTime": "2026-11-22T00:00:00Z"})
    };
    let written = |more: Value| {
        let mut status =
            json!({"conditions": [condition("Accepted", "True")], "observedGeneration": 1});
        if let (Some(status), Value::Object(more)) = (status.as_object_mut(), more) {
            status.extend(more);
        }
        json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
               "metadata": {"name": "web", "namespace": "shown"}, "status": status})
    };
    let apply = async |manager: &str, object: &Value| {
        let flag = format!("--field-manager={manager}");
        let args = [
            "apply",
            "--server-side",
            "--subresource=status",
            &flag,
            "-f",
            "-",
        ];
        cluster.kubectl(&args, &object.to_string()).await
    };
    let addresses = json!([{"value": "240.240.0.1", "host": "web.test"}]);
    apply("one", &written(json!({"addresses": addresses}))).await?;
    let other = json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": "web", "namespace": "shown"},
        "status": {"conditions": [condition("Reconciled", "False")],
                   "validationMessages": [{"level": "WARNING", "type": {"code": "IST0000", "name": "A"}, "documentationUrl": "u"}]}});
    apply("two", &other).await?;
    eventually("both have written their part", SOON, async || {
        let path = "/apis/networking.istio.io/v1beta1/namespaces/shown/serviceentries/web";
        let found = cluster.get_path(path).await?;
        let status = &found["status"];
        let types = status["conditions"].as_array().context("no conditions")?;
        let types: Vec<_> = types.iter().map(|one| one["type"].clone()).collect();
        ensure!(
            types == [json!("Accepted"), json!("Reconciled")],
            "{status}"
        );
        ensure!(status["addresses"] == addresses, "{status}");
        ensure!(status["observedGeneration"] == 1, "{status}");
        ensure!(
            found["metadata"]["generation"] == 1,
            "a status is no change of the rule"
        );
        Ok(())
    })
    .await
}
