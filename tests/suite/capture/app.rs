//! An application that knows nothing of a mesh: it answers its name, and from which address it was asked.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use pilothouse_tests::netns::Machine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A server on a machine, over IPv4 and IPv6; dropping it ends it.
#[derive(Debug)]
pub(crate) struct App {
    _tasks: JoinSet<()>,
}

impl App {
    /// Speaks HTTP.
    pub(crate) fn http(name: &str, machine: &Machine, port: u16) -> Self {
        Self::serve(name, machine, port, true)
    }

    /// Says its line to everybody who connects, and hangs up.
    pub(crate) fn tcp(name: &str, machine: &Machine, port: u16) -> Self {
        Self::serve(name, machine, port, false)
    }

    fn serve(name: &str, machine: &Machine, port: u16, is_http: bool) -> Self {
        let listener = machine
            .listen((Ipv6Addr::UNSPECIFIED, port).into())
            .unwrap();
        let name = name.to_owned();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, peer)) = listener.accept().await {
                let line = line(&name, peer);
                // A client that breaks off is its own affair.
                connections.spawn(async move { answer(stream, &line, is_http).await.ok() });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { _tasks: tasks }
    }
}

/// What the application `name` answers to `from`.
pub(crate) fn says(name: &str, from: impl Into<IpAddr>) -> String {
    line(name, SocketAddr::new(from.into(), 0))
}

fn line(name: &str, peer: SocketAddr) -> String {
    format!("{name} sees {}", peer.ip().to_canonical())
}

async fn answer(mut stream: TcpStream, line: &str, is_http: bool) -> std::io::Result<()> {
    if !is_http {
        stream.write_all(line.as_bytes()).await?;
        return stream.shutdown().await;
    }
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let length = line.len();
    let response =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{line}");
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}
