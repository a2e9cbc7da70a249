//! The shape of the workspace: which crate may use which, and that every file is compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each package may depend on, of this workspace. Whatever is not here may depend on nothing of it.
fn may_use(package: &str) -> &'static [&'static str] {
    const ADAPTERS: [&str; 3] = [
        "pilothouse-consul",
        "pilothouse-kubernetes",
        "pilothouse-static",
    ];
    match package {
        "pilothouse-xds" => &["pilothouse-core"],
        "pilothouse-manifests" => &["pilothouse-core"],
        adapter if ADAPTERS.contains(&adapter) => &["pilothouse-core", "pilothouse-manifests"],
        "pilot-discovery" | "pilotctl" => &[
            "pilothouse-core",
            "pilothouse-xds",
            "pilothouse-consul",
            "pilothouse-kubernetes",
            "pilothouse-manifests",
            "pilothouse-static",
            "pilothouse-process",
        ],
        "pilot-agent" => &["pilothouse-core", "pilothouse-xds", "pilothouse-process"],
        "custom-adapter" => &["pilothouse-core", "pilothouse-xds"],
        "pilothouse-tests" => &[
            "pilothouse-core",
            "pilothouse-xds",
            "pilothouse-consul",
            "pilothouse-kubernetes",
            "pilothouse-static",
            "pilothouse-process",
            "pilot-discovery",
            "pilot-agent",
            "pilotctl",
            "custom-adapter",
            "bookinfo-vm",
        ],
        _ => &[],
    }
}

#[test]
fn crates_use_what_lies_before_them() {
    for package in packages() {
        let name = text(&package["name"]);
        let used: Vec<_> = list(&package["dependencies"])
            .iter()
            .filter(|dependency| dependency["path"].is_string())
            .map(|dependency| text(&dependency["name"]))
            .filter(|dependency| !may_use(name).contains(dependency))
            .collect();
        assert!(used.is_empty(), "{name} must not depend on {used:?}");
    }
}

#[test]
fn the_core_has_no_io_and_no_envoy() {
    const FOREIGN: [&str; 9] = [
        "envoy-types",
        "tonic",
        "prost",
        "hyper",
        "axum",
        "notify",
        "kube",
        "k8s-openapi",
        "serde-saphyr",
    ];
    for package in packages() {
        if package["name"] != "pilothouse-core" {
            continue;
        }
        for dependency in list(&package["dependencies"]) {
            let name = text(&dependency["name"]);
            assert!(
                !FOREIGN.contains(&name),
                "the core must not depend on {name}"
            );
        }
    }
}

/// A file that no `mod` line names is not compiled, and its tests do not run.
#[test]
fn every_file_is_compiled() {
    let mut compiled = BTreeSet::new();
    let mut roots = BTreeSet::new();
    for package in packages() {
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        roots.extend(manifest.parent().map(Path::to_owned));
        for target in list(&package["targets"]) {
            follow(Path::new(text(&target["src_path"])), true, &mut compiled);
        }
    }
    let lost: Vec<_> = roots
        .iter()
        .flat_map(|root| sources(root))
        .filter(|file| !compiled.contains(file))
        .collect();
    assert!(lost.is_empty(), "no mod line reaches {lost:#?}");
    assert!(
        compiled.len() > 50,
        "only {} files were found",
        compiled.len()
    );
}

/// Adds `file` and everything that its `mod` lines name. Submodules of a crate's root, and of a `mod` block, are looked for
/// where rustc does.
fn follow(file: &Path, is_root: bool, compiled: &mut BTreeSet<PathBuf>) {
    let source =
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    compiled.insert(file.to_owned());
    let parent = file.parent().unwrap_or(Path::new(""));
    let home = match file.file_stem() {
        Some(stem) if !is_root => parent.join(stem),
        _ => parent.to_owned(),
    };
    for name in source.lines().filter_map(module) {
        let module = home.join(format!("{name}.rs"));
        assert!(
            module.exists(),
            "{} names {name}, and {} is not there",
            file.display(),
            module.display()
        );
        follow(&module, false, compiled);
    }
}

/// The name in `mod name;` with whatever visibility.
fn module(line: &str) -> Option<&str> {
    let line = line.trim();
    let rest = line.strip_prefix("pub").map_or(line, |rest| {
        rest.trim_start_matches(|c: char| c == '(' || c == ')' || c.is_alphanumeric())
    });
    let name = rest.trim_start().strip_prefix("mod ")?.strip_suffix(';')?;
    Some(name.trim())
}

/// Every Rust file of a package; packages within have their own.
fn sources(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                if !path.join("Cargo.toml").exists() {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The packages of this workspace, as cargo sees them.
fn packages() -> Vec<Value> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "metadata",
            "--format-version=1",
            "--no-deps",
            "--offline",
            "--locked",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut metadata: BTreeMap<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
    match metadata.remove("packages") {
        Some(Value::Array(packages)) if !packages.is_empty() => packages,
        other => panic!("cargo metadata lists no packages: {other:?}"),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[test]
fn mod_lines() {
    assert_eq!(module("mod a;"), Some("a"));
    assert_eq!(module("    pub(crate) mod a;"), Some("a"));
    assert_eq!(module("pub mod a;"), Some("a"));
    assert_eq!(module("mod a {"), None);
    assert_eq!(module("// mod a;"), None);
}
