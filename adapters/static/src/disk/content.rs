//! The content of one file, or why there is none.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use thiserror::Error;

/// Ten times what 10,000 large services take. It protects the process from a file that is no configuration.
const LIMIT: u64 = 256 << 20;

/// A file that is there and cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The system refuses it.
    #[error("cannot read {path}; check that it is there and that this process may read it")]
    Io {
        /// The file or directory.
        path: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is a pipe or a device.
    #[error("{path} is not a regular file; move it away or rename it")]
    NotAFile {
        /// The file.
        path: String,
    },
    /// It is larger than any configuration.
    #[error("{path} has {size} bytes and at most {limit} are read; split it into several files")]
    TooLarge {
        /// The file.
        path: String,
        /// Its size.
        size: u64,
        /// The largest that is read.
        limit: u64,
    },
    /// It is not text.
    #[error("{path} is not UTF-8 text: byte {at} is wrong; save it as UTF-8")]
    NotText {
        /// The file.
        path: String,
        /// The first byte that is wrong.
        at: usize,
    },
}

/// What is found at a path.
#[derive(Debug)]
pub(crate) enum Content {
    /// No file, not even a link that leads nowhere.
    Gone,
    /// Something that cannot be read.
    Unreadable(ReadError),
    /// Text.
    Text(String),
}

/// Reads the file at `path`.
pub(crate) fn content(path: &Path) -> Content {
    match read(path) {
        Ok(text) => Content::Text(text),
        Err(ReadError::NotAFile { .. }) if path.is_dir() => Content::Gone,
        // A link that leads nowhere is there and unreadable: what it led to may be about to come back.
        Err(ReadError::Io { source, .. })
            if not_there(&source) && fs::symlink_metadata(path).is_err() =>
        {
            Content::Gone
        }
        Err(error) => Content::Unreadable(error),
    }
}

fn not_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn read(path: &Path) -> Result<String, ReadError> {
    let name = || path.display().to_string();
    let io = |source| ReadError::Io {
        path: name(),
        source,
    };
    // Asked before it is opened, because opening a pipe waits for somebody to write to it.
    let meta = fs::metadata(path).map_err(io)?;
    if !meta.is_file() {
        return Err(ReadError::NotAFile { path: name() });
    }
    let too_large = |size| ReadError::TooLarge {
        path: name(),
        size,
        limit: LIMIT,
    };
    if meta.len() > LIMIT {
        return Err(too_large(meta.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or_default());
    // It may grow while it is read.
    fs::File::open(path)
        .map_err(io)?
        .take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    let size = bytes.len() as u64;
    if size > LIMIT {
        return Err(too_large(size));
    }
    String::from_utf8(bytes).map_err(|error| ReadError::NotText {
        path: name(),
        at: error.utf8_error().valid_up_to(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let check = |name: &str, expected: &str| {
            let found = match content(&dir.path().join(name)) {
                Content::Gone => "gone".to_owned(),
                Content::Unreadable(error) => error
                    .to_string()
                    .replace(&dir.path().display().to_string(), ""),
                Content::Text(text) => format!("text {text}"),
            };
            assert_eq!(found, expected, "{name}");
        };
        fs::write(dir.path().join("text"), "ä").unwrap();
        fs::write(dir.path().join("bytes"), b"ok\xff").unwrap();
        fs::create_dir(dir.path().join("dir")).unwrap();

        check("text", "text ä");
        check("none", "gone");
        check(
            "bytes",
            "/bytes is not UTF-8 text: byte 2 is wrong; save it as UTF-8",
        );
        check("dir", "gone");
        check("text/none", "gone");
        #[cfg(unix)]
        {
            check(
                "/dev/null",
                "/dev/null is not a regular file; move it away or rename it",
            );
            std::os::unix::fs::symlink("none", dir.path().join("link")).unwrap();
            check(
                "link",
                "cannot read /link; check that it is there and that this process may read it",
            );
        }
    }
}
