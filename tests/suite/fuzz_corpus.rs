//! The corpus of the fuzz targets, replayed: `fuzz/corpus/TARGET/*` through what each target does.

use std::path::Path;

use pilothouse_tests::fuzz;

/// Every file of a target's corpus; a directory without files is a mistake.
fn replay(target: &str, body: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let mut files: Vec<_> = std::fs::read_dir(&dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", dir.display());
    for file in files {
        let data = std::fs::read(&file).unwrap();
        let replayed = std::panic::catch_unwind(|| body(&data));
        assert!(replayed.is_ok(), "{} breaks {target}", file.display());
    }
}

#[test]
fn objects() {
    replay("objects", fuzz::objects);
}

#[test]
fn nodes() {
    replay("node", fuzz::node);
}

#[test]
fn patches() {
    replay("patch", fuzz::patch);
}

#[test]
fn mesh_configs() {
    replay("mesh_config", fuzz::mesh_config);
}

/// Every target has a corpus that is replayed here.
#[test]
fn every_target_has_a_corpus() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let names = |dir: &str| {
        let entries = std::fs::read_dir(fuzz.join(dir)).unwrap();
        let stem = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut names: Vec<_> = entries.map(|entry| stem(&entry.unwrap().path())).collect();
        names.sort();
        names
    };
    let replayed = ["mesh_config", "node", "objects", "patch"];
    assert_eq!(names("fuzz_targets"), replayed);
    assert_eq!(names("corpus"), replayed);
}
