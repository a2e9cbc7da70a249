use std::collections::BTreeSet;

use pilothouse_core::rules::schema::{Schema, schema};

use super::*;

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// A line for each definition: what users see of it.
fn summary(crd: &Crd) -> String {
    let spec = &crd.document["spec"];
    let versions = spec["versions"].as_array().unwrap();
    let named: Vec<_> = versions
        .iter()
        .map(|version| {
            assert_eq!(
                version["schema"], versions[0]["schema"],
                "versions read alike"
            );
            let stored = if version["storage"] == true { "*" } else { "" };
            format!("{}{stored}", version["name"].as_str().unwrap_or_default())
        })
        .collect();
    let columns = versions[0]["additionalPrinterColumns"].as_array().unwrap();
    let columns: Vec<_> = columns
        .iter()
        .filter_map(|column| column["name"].as_str())
        .collect();
    format!(
        "{} {} [{}] {} | {} | {}",
        crd.name,
        spec["names"]["kind"].as_str().unwrap_or_default(),
        strings(&spec["names"]["shortNames"]).join(","),
        strings(&spec["names"]["categories"]).join(","),
        named.join(" "),
        columns.join(" "),
    )
}

#[test]
fn every_kind_is_defined() {
    let kinds = rules::kinds()
        .iter()
        .filter(|kind| !kind.is_of_kubernetes());
    let mut kinds: Vec<_> = kinds.map(|kind| kind.name).collect();
    kinds.sort_unstable();
    let defined: Vec<_> = crds().iter().map(|crd| crd.kind).collect();
    assert_eq!(defined, kinds);
}

#[test]
fn users_find_the_names_that_they_know() {
    let all: Vec<_> = crds().iter().map(summary).collect();
    assert_eq!(
        all,
        [
            "authorizationpolicies.security.istio.io AuthorizationPolicy [ap] istio-io,security-istio-io | v1* v1beta1 | Action Age",
            "destinationrules.networking.istio.io DestinationRule [dr] istio-io,networking-istio-io | v1* v1beta1 v1alpha3 | Host Age",
            "envoyfilters.networking.istio.io EnvoyFilter [] istio-io,networking-istio-io | v1alpha3* v1beta1 v1 | Age",
            "gateways.networking.istio.io Gateway [gw] istio-io,networking-istio-io | v1* v1beta1 v1alpha3 | Age",
            "peerauthentications.security.istio.io PeerAuthentication [pa] istio-io,security-istio-io | v1* v1beta1 | Mode Age",
            "proxyconfigs.networking.istio.io ProxyConfig [] istio-io,networking-istio-io | v1beta1* v1 v1alpha3 | Age",
            "requestauthentications.security.istio.io RequestAuthentication [ra] istio-io,security-istio-io | v1* v1beta1 | Age",
            "serviceentries.networking.istio.io ServiceEntry [se] istio-io,networking-istio-io | v1* v1beta1 v1alpha3 | Hosts Location Resolution Age",
            "sidecars.networking.istio.io Sidecar [] istio-io,networking-istio-io | v1* v1beta1 v1alpha3 | Age",
            "telemetries.telemetry.istio.io Telemetry [telemetry] istio-io,telemetry-istio-io | v1* v1alpha1 | Age",
            "trafficextensions.extensions.istio.io TrafficExtension [] istio-io,extensions-istio-io | v1alpha1* | Age",
            "virtualservices.networking.istio.io VirtualService [vs] istio-io,networking-istio-io | v1* v1beta1 v1alpha3 | Gateways Hosts Age",
            "wasmplugins.extensions.istio.io WasmPlugin [] istio-io,extensions-istio-io | v1alpha1* | Age",
            "workloadentries.networking.istio.io WorkloadEntry [we] istio-io,networking-istio-io | v1* v1beta1 v1alpha3 | Age Address",
            "workloadgroups.networking.istio.io WorkloadGroup [wg] istio-io,networking-istio-io | v1* v1beta1 v1alpha3 | Age",
        ]
    );
}

/// The names of all types within, and the places in each that a limit may be said of.
fn places(known: &Schema, found: &mut BTreeSet<(String, String)>) {
    match known {
        Schema::Object(object) => {
            found.insert((object.type_name.to_owned(), String::new()));
            for field in &object.fields {
                let suffix = match &field.schema {
                    Schema::List(_) => "[]",
                    Schema::Map(_) => "{}",
                    _ => "",
                };
                found.insert((object.type_name.to_owned(), field.name.to_owned()));
                found.insert((
                    object.type_name.to_owned(),
                    format!("{}{suffix}", field.name),
                ));
                places(&field.schema, found);
            }
        }
        Schema::Map(inner) | Schema::List(inner) => places(inner, found),
        _ => {}
    }
}

#[test]
fn every_limit_is_about_something() {
    let mut found = BTreeSet::new();
    for kind in rules::kinds() {
        places(&schema(kind), &mut found);
        found.insert((kind.name.to_owned(), String::new()));
        found.insert((kind.name.to_owned(), "spec".to_owned()));
    }
    let mut seen = BTreeSet::new();
    for on in limits::all() {
        let place = (on.type_name.to_owned(), on.place.to_owned());
        assert!(found.contains(&place), "{place:?} is nowhere");
        assert!(
            seen.insert(place),
            "{} {} is there twice",
            on.type_name,
            on.place
        );
    }
}

/// Whether a schema is what API servers call structural: a type everywhere, and none within alternatives.
fn structural(schema: &Value, at: &str) {
    let schema = schema
        .as_object()
        .unwrap_or_else(|| panic!("{at}: no schema"));
    let is_free = [
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-int-or-string",
    ]
    .iter()
    .any(|name| schema.get(*name) == Some(&json!(true)));
    assert!(schema.contains_key("type") || is_free, "{at}: no type");
    for forbidden in [
        "$ref",
        "definitions",
        "$defs",
        "deprecated",
        "discriminator",
        "readOnly",
        "writeOnly",
        "xml",
    ] {
        assert!(!schema.contains_key(forbidden), "{at}: {forbidden}");
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        assert!(!schema.contains_key("additionalProperties"), "{at}: both");
        for required in strings(schema.get("required").unwrap_or(&Value::Null)) {
            assert!(
                properties.contains_key(required),
                "{at}: requires {required}, which is not known"
            );
        }
        for (name, inner) in properties {
            structural(inner, &format!("{at}.{name}"));
        }
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(name) {
            structural(inner, &format!("{at}.{name}"));
        }
    }
}

#[test]
fn schemas_are_structural_and_of_moderate_size() {
    for crd in crds() {
        structural(
            &crd.document["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
            crd.kind,
        );
        let size = crd.document.to_string().len();
        eprintln!("{} {size}", crd.kind);
        assert!(size < 256 * 1024, "{}: {size} bytes", crd.name);
    }
}
