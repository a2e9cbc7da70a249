//! Files that are there whole, or as they were.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Puts `text` in the place of whatever `path` holds, in one step. Its directory is made if it is not there.
pub(super) fn put(path: &Path, text: &str) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut staged = path.as_os_str().to_owned();
    staged.push(format!(".{}.new", std::process::id()));
    let staged = Path::new(&staged);
    let written = write(staged, text).and_then(|()| fs::rename(staged, path));
    if written.is_err() {
        // It may be what has filled the disk.
        let _ = fs::remove_file(staged);
    }
    written
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    // Some file systems tell only here that there is no room.
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/envoy.yaml");
        for text in ["one", "two"] {
            put(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(entries(path.parent().unwrap()), ["envoy.yaml"]);
    }

    #[test]
    fn what_cannot_be_written_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        // A directory with content cannot be replaced by a file.
        let path = dir.path().join("envoy.yaml");
        put(&path.join("inner"), "one").unwrap();
        assert!(put(&path, "two").is_err());
        assert_eq!(entries(dir.path()), ["envoy.yaml"]);
        assert!(put(&path.join("inner/below"), "two").is_err());
    }
}
