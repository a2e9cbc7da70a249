//! Reading files once, without a store: for tools that check configuration.

use std::error::Error;
use std::path::Path;

use pilothouse_core::mesh::MeshConfig;
use pilothouse_core::registry::{Closed, Object, Origin, Problem, SetId, Updates};
use pilothouse_core::rules::resolve;
use pilothouse_manifests::kubernetes::Names;
use pilothouse_manifests::{Finding, Format, Reading, Unknown, check_value};

use crate::config::{ConfigError, StaticConfig};
use crate::disk::{Content, Layout, ReadError, content};

/// What one file says, and everything that is wrong with it.
#[derive(Debug, Default)]
pub struct File {
    /// What it is called, here and in every place that is named.
    pub name: String,
    /// The objects that can be read, in their order; one that is there twice is here twice.
    pub objects: Vec<Object>,
    /// What is wrong with the text: what the registry tells the store about it.
    pub findings: Vec<Finding>,
    /// What is wrong with the rules among `objects`: what the store finds by itself.
    pub checked: Vec<Finding>,
    /// Objects of kinds that are not read.
    pub unknown: Vec<Unknown>,
}

/// Reads all the files that the registry reads of `dir`, with services of these names, in the order of the files' names. One that cannot be read is there with that
/// finding.
///
/// # Errors
/// The directory cannot be read.
pub fn read(dir: &Path, names: &Names) -> Result<Vec<File>, ConfigError> {
    let root = StaticConfig::new(dir, "").checked_root()?;
    let (_, listing) = Layout::list(&root, &mut |_| {});
    let listing = listing.map_err(|source| ConfigError::Vanished {
        root: dir.display().to_string(),
        source,
    })?;
    let name = |file: &str| dir.join(file).display().to_string();
    let unreadable = listing.unreadable.iter();
    let mut files: Vec<_> = unreadable
        .map(|(dir, error)| unread(name(dir), error))
        .collect();
    for file in &listing.files {
        match content(&root.join(file)) {
            Content::Gone => {}
            Content::Unreadable(error) => files.push(unread(name(file), &error)),
            Content::Text(text) => {
                files.push(named(name(file), &text, Format::of(file), Some(names)))
            }
        }
    }
    Ok(files)
}

/// Reads one file, whatever it is called.
///
/// # Errors
/// It cannot be read.
pub fn read_file(path: &Path, names: &Names) -> Result<File, ReadError> {
    let name = path.display().to_string();
    match content(path) {
        Content::Text(text) => {
            let format = Format::of(&name);
            Ok(named(name, &text, format, Some(names)))
        }
        Content::Unreadable(error) => Err(error),
        Content::Gone => Err(absent(path)),
    }
}

/// Reads a text that is not in a file: YAML documents, or JSON values.
pub fn read_manifests(name: &str, text: &str, names: &Names) -> File {
    named(name.to_owned(), text, Format::of_text(text), Some(names))
}

/// Reads the rules in such a text, and nothing else. Names of hosts stay as they are written.
pub fn read_text(name: &str, text: &str) -> File {
    named(name.to_owned(), text, Format::of_text(text), None)
}

/// Reads a file of mesh-wide settings: the settings, unless something keeps them from being used, and everything that is wrong.
///
/// # Errors
/// It cannot be read.
pub fn read_mesh_config(path: &Path) -> Result<(Option<MeshConfig>, Vec<Finding>), ReadError> {
    let name = path.display().to_string();
    let text = match content(path) {
        Content::Text(text) => text,
        Content::Unreadable(error) => return Err(error),
        Content::Gone => return Err(absent(path)),
    };
    Ok(read_mesh_config_text(&name, &text))
}

/// Reads mesh-wide settings that are not in a file.
pub fn read_mesh_config_text(name: &str, text: &str) -> (Option<MeshConfig>, Vec<Finding>) {
    let mut config = None;
    let finding = check_value(name, text, |value| match resolve::mesh_config(value) {
        Ok((good, warnings)) => {
            config = Some(good);
            warnings
        }
        Err(problems) => problems,
    });
    (config, finding.into_iter().collect())
}

/// Writes files as the registry does, each as a set of its name.
///
/// # Errors
/// The store is gone.
pub async fn write_files(files: &[File], updates: &Updates) -> Result<(), Closed> {
    let mut tx = updates.begin();
    for file in files {
        let set = SetId::new(file.name.as_str());
        tx.replace(set.clone(), file.objects.clone());
        for finding in &file.findings {
            let problems = finding.problems.clone();
            tx.reject(&set, finding.key.clone(), finding.at.clone(), problems);
        }
    }
    tx.commit().await?;
    updates.synced().await
}

fn absent(path: &Path) -> ReadError {
    let found = path.symlink_metadata();
    ReadError::Io {
        path: path.display().to_string(),
        source: found
            .err()
            .unwrap_or_else(|| std::io::ErrorKind::IsADirectory.into()),
    }
}

fn named(name: String, text: &str, format: Format, names: Option<&Names>) -> File {
    let Reading {
        objects,
        findings,
        checked,
        unknown,
        passed_over: _,
    } = Reading::checked(&name, text, format, names);
    File {
        name,
        objects,
        findings,
        checked,
        unknown,
    }
}

fn unread(name: String, error: &ReadError) -> File {
    let mut what = error.to_string();
    if let Some(source) = error.source() {
        what = format!("{what}: {source}");
    }
    let finding = Finding {
        key: None,
        at: Origin::new(name.as_str()),
        problems: vec![Problem::error("", what)],
    };
    File {
        name,
        findings: vec![finding],
        ..File::default()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names() -> Names {
        Names::new("cluster.local")
    }

    const GOOD: &str = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: web, namespace: shop}\nspec: {hosts: [web.example.com], ports: [{number: 80, name: http}]}\n";

    fn places(file: &File) -> (Vec<String>, Vec<String>) {
        let objects = file.objects.iter();
        let findings = file.findings.iter().chain(&file.checked);
        (
            objects.map(|object| object.origin.to_string()).collect(),
            findings.map(|finding| finding.at.to_string()).collect(),
        )
    }

    #[test]
    fn a_directory_is_read_as_the_registry_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("eu")).unwrap();
        for (name, text) in [
            ("b.yaml", GOOD),
            ("eu/a.yml", "kind: [\n"),
            (".hidden.yaml", "kind: [\n"),
            ("readme.md", "no configuration"),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let root = dir.path().display();
        let files = read(dir.path(), &names()).unwrap();
        assert_eq!(
            files.iter().map(places).collect::<Vec<_>>(),
            [
                (vec![format!("{root}/b.yaml:1")], vec![]),
                (vec![], vec![format!("{root}/eu/a.yml:1")]),
            ]
        );
    }

    #[test]
    fn rules_are_checked_where_they_stand() {
        let file = read_text("stdin", &GOOD.replace("web.example.com", "a b"));
        assert_eq!(file.objects.len(), 1);
        let [finding] = &*file.checked else {
            panic!("{:?}", file.checked)
        };
        let text = finding.problems[0].to_string();
        assert!(text.starts_with("spec.hosts[0]: "), "{text}");
        assert!(text.contains("\n  --> stdin:4:16\n"), "{text}");
    }

    #[test]
    fn a_text_says_by_itself_how_it_is_written() {
        let json = r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}"#;
        for text in [
            format!("{json}\n{json}\n"),
            format!("{json}\n---\n{json}\n"),
        ] {
            let kinds: Vec<_> = read_text("stdin", &text)
                .unknown
                .iter()
                .map(|unknown| unknown.key.to_string())
                .collect();
            assert_eq!(kinds, ["Secret default/s", "Secret default/s"], "{text}");
        }
        assert_eq!(read_text("stdin", GOOD).objects.len(), 1);
    }

    #[test]
    fn mesh_config_is_read_with_places() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.yaml");
        let check = |text: &str, usable: bool, expected: &[&str]| {
            fs::write(&path, text).unwrap();
            let (config, findings) = read_mesh_config(&path).unwrap();
            assert_eq!(config.is_some(), usable, "{text}");
            let problems = findings.iter().flat_map(|finding| &finding.problems);
            let found: Vec<_> = problems.map(ToString::to_string).collect();
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                let line = format!("{}:{expected}", path.display());
                assert!(found.contains(&line), "{found} is not at {line}");
            }
        };
        check("# says nothing\n", true, &[]);
        check("connectTimeout: 3s\n", true, &[]);
        check(
            "connectTimeout: 3s\naccessLogEncoding: XML\n",
            false,
            &["2:20"],
        );
        check("a: [\n", false, &["1:4"]);
        check("connectTimeout: 3s\n---\na: b\n", false, &["3:1"]);
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let absent = dir.path().join("absent");
        assert!(matches!(
            read(&absent, &names()),
            Err(ConfigError::Absent { .. })
        ));
        assert!(matches!(
            read_file(&absent, &names()),
            Err(ReadError::Io { .. })
        ));
        fs::write(&absent, GOOD).unwrap();
        assert_eq!(read_file(&absent, &names()).unwrap().objects.len(), 1);
    }
}
