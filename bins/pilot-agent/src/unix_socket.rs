//! A Unix socket that one process serves: bound with its final mode, never taken from a process that lives.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// How long accepting rests after an error that is this process's own, such as too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a process that holds the socket may take to show that it lives.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// A bound socket; dropping it removes its file, unless another process has put its own there.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    file: (u64, u64),
}

impl UnixSocket {
    /// Binds `path`, making its directory if there is none. A socket that a dead process left behind is replaced; one that is
    /// answered, and a file that is no socket, are errors.
    pub(crate) async fn bind(path: &Path, mode: u32) -> Result<Self> {
        let what = || format!("cannot serve the socket {}", path.display());
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).with_context(what)?;
        }
        vacant(path).await.with_context(what)?;
        // Its mode is right before anybody can find it, and it takes the place of an old one in one step.
        let mut staged = path.as_os_str().to_owned();
        staged.push(format!(".{}", std::process::id()));
        let staged = PathBuf::from(staged);
        let _ = fs::remove_file(&staged);
        let listener = UnixListener::bind(&staged).with_context(what)?;
        let placed = fs::set_permissions(&staged, fs::Permissions::from_mode(mode))
            .and_then(|()| fs::symlink_metadata(&staged))
            .and_then(|found| fs::rename(&staged, path).map(|()| (found.dev(), found.ino())));
        let file = placed.inspect_err(|_| {
            let _ = fs::remove_file(&staged);
        });
        Ok(Self {
            listener,
            path: path.to_owned(),
            file: file.with_context(what)?,
        })
    }

    /// The next connection. Errors are logged and waited out: accepting never ends.
    pub(crate) async fn accept(&self) -> UnixStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return stream,
                Err(error) => {
                    let path = self.path.display();
                    tracing::warn!(%error, "connections to {path} cannot be accepted; trying again in {PAUSE:?}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.file);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a socket may be put at `path`.
async fn vacant(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(found) if !found.file_type().is_socket() => {
            bail!("a file that is no socket is there; move it away");
        }
        Ok(_) => {}
    }
    match timeout(SIGN_OF_LIFE, UnixStream::connect(path)).await {
        Ok(Err(error))
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
            ) =>
        {
            Ok(())
        }
        // It is answered, or too busy to answer.
        _ => bail!("another process serves it; end that one, or use another directory"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("proxy/XDS");
        let first = UnixSocket::bind(&path, 0o600).await.unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
        let error = UnixSocket::bind(&path, 0o600).await.unwrap_err();
        assert!(
            format!("{error:#}").contains("another process serves it"),
            "{error:#}"
        );
        let (client, _) = tokio::join!(UnixStream::connect(&path), first.accept());
        client.unwrap();

        // As a process that was killed leaves it.
        let dead = std::os::unix::net::UnixListener::bind(dir.path().join("dead")).unwrap();
        drop(dead);
        let second = UnixSocket::bind(&dir.path().join("dead"), 0o660)
            .await
            .unwrap();
        drop(second);
        assert!(!dir.path().join("dead").exists());
        drop(first);
        assert!(!path.exists());
        assert_eq!(
            fs::read_dir(dir.path().join("proxy")).unwrap().count(),
            0,
            "nothing is left"
        );
    }

    #[tokio::test]
    async fn what_is_no_socket_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("XDS");
        fs::write(&path, "precious").unwrap();
        assert!(UnixSocket::bind(&path, 0o600).await.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn the_socket_of_a_successor_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("XDS");
        let first = UnixSocket::bind(&path, 0o600).await.unwrap();
        fs::remove_file(&path).unwrap();
        let _second = UnixSocket::bind(&path, 0o600).await.unwrap();
        drop(first);
        assert!(path.exists());
    }
}
