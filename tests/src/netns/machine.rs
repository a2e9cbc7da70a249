//! One machine: its addresses, programs that run on it, and sockets of this process that stand in it.

use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::{Namespace, leftovers};
use crate::http::{self, Answer};

/// Who runs a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// Nobody in particular, without rights.
    Application,
    /// Envoy and the agent: rules let what they send pass. They may use all files, wherever a test has put them.
    Proxy,
    /// The same, and may open sockets with addresses of others, as TPROXY needs it.
    TransparentProxy,
    /// The administrator, in the group of Envoy and the agent.
    RootProxy,
    /// The administrator.
    Root,
}

/// A machine of a [`Network`](super::Network). Dropping it ends what runs on it.
#[derive(Debug)]
pub struct Machine {
    namespace: Namespace,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
}

impl Machine {
    pub(super) fn new(namespace: Namespace, v4: Ipv4Addr, v6: Ipv6Addr) -> Result<Self> {
        let this = Self { namespace, v4, v6 };
        this.write("hosts", "127.0.0.1 localhost\n::1 localhost\n")?;
        Ok(this)
    }

    /// Its address of IPv4.
    pub fn v4(&self) -> Ipv4Addr {
        self.v4
    }

    /// Its address of IPv6.
    pub fn v6(&self) -> Ipv6Addr {
        self.v6
    }

    /// The name of its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace.0
    }

    /// Gives its programs this `/etc/resolv.conf`, those that are started from here on.
    pub fn set_resolver(&self, text: &str) -> Result<()> {
        self.write("resolv.conf", text)
    }

    /// Writes a file that its programs see in `/etc`.
    fn write(&self, name: &str, text: &str) -> Result<()> {
        let dir = leftovers::files(self.namespace());
        std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        let file = dir.join(name);
        std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
    }

    /// A program that is to run on it. It keeps its process id whoever runs it.
    pub fn command(&self, user: User, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.namespace()]);
        let (user, group, capabilities) = match user {
            User::Root => ("0", "0", None),
            User::RootProxy => ("0", "1337", None),
            User::Application => ("1000", "1000", None),
            User::Proxy => ("1337", "1337", Some("+dac_override")),
            User::TransparentProxy => ("1337", "1337", Some("+dac_override,+net_admin")),
        };
        command.args([
            "setpriv",
            "--reuid",
            user,
            "--regid",
            group,
            "--clear-groups",
        ]);
        if let Some(capabilities) = capabilities {
            command.args(["--inh-caps", capabilities, "--ambient-caps", capabilities]);
        }
        command.arg(program.as_ref());
        command
    }

    /// Runs a program to its end; what it prints is the answer. One that fails is an error, with all that it has printed.
    pub async fn run(&self, user: User, program: &[&str]) -> Result<String> {
        let [name, args @ ..] = program else {
            bail!("no program");
        };
        let mut command = self.command(user, name);
        command.args(args);
        let mut command = tokio::process::Command::from(command);
        let output = command
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("running {program:?}"))?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        if !output.status.success() {
            bail!("{program:?}: {}: {err}{out}", output.status);
        }
        Ok(out)
    }

    /// A connection from it, opened by root.
    pub async fn connect(&self, to: SocketAddr, within: Duration) -> Result<TcpStream> {
        let inside = self.inside(move || std::net::TcpStream::connect_timeout(&to, within));
        let stream = tokio::task::spawn_blocking(inside)
            .await
            .context("a thread has panicked")??;
        let what = || format!("connecting to {to}");
        let stream = stream.with_context(what)?;
        stream.set_nonblocking(true).with_context(what)?;
        TcpStream::from_std(stream).with_context(what)
    }

    /// A socket on it that takes connections.
    pub fn listen(&self, at: SocketAddr) -> Result<TcpListener> {
        let what = || format!("listening at {at}");
        let listener =
            self.inside(move || std::net::TcpListener::bind(at))()?.with_context(what)?;
        listener.set_nonblocking(true).with_context(what)?;
        TcpListener::from_std(listener).with_context(what)
    }

    /// A socket on it for datagrams.
    pub fn datagrams(&self, at: SocketAddr) -> Result<UdpSocket> {
        let what = || format!("listening at {at} for datagrams");
        let socket = self.inside(move || std::net::UdpSocket::bind(at))()?.with_context(what)?;
        socket.set_nonblocking(true).with_context(what)?;
        UdpSocket::from_std(socket).with_context(what)
    }

    /// `GET path` from it.
    pub async fn get(
        &self,
        address: SocketAddr,
        host: &str,
        path: &str,
        within: Duration,
    ) -> Result<Answer> {
        let stream = self.connect(address, within).await?;
        http::get_over(stream, host, path, within).await
    }

    /// What opens a socket in its namespace: a thread of its own, because a thread that has gone there does not come back.
    fn inside<T: Send + 'static>(
        &self,
        open: impl FnOnce() -> T + Send + 'static,
    ) -> impl FnOnce() -> Result<T> + Send + 'static {
        let path = Path::new("/run/netns").join(self.namespace());
        move || {
            let namespace =
                File::open(&path).with_context(|| format!("opening {}", path.display()))?;
            let thread = std::thread::spawn(move || {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                    .context("entering a network namespace")?;
                Ok(open())
            });
            thread
                .join()
                .map_err(|_| anyhow!("a thread has panicked"))?
        }
    }
}
