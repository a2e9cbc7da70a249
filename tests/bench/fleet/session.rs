//! One client's life on its connections.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;

use super::Options;
use super::worker::Shared;
use crate::client::Client;
use crate::grpc::Messages;
use crate::h2::Connection;

/// A source address has about 28,000 ports to connect from.
const CLIENTS_PER_SOURCE: usize = 10_000;
/// How soon a client comes back after its connection has ended, and how late at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What bytes become on their way up.
struct Streams {
    connection: Connection,
    messages: Messages,
}

/// Connects, and again whenever the connection ends, until it is dropped.
pub(super) async fn live(
    index: usize,
    client: Rc<RefCell<Client>>,
    shared: Rc<RefCell<Shared>>,
    options: Rc<Options>,
) {
    let (mut pause, mut told) = (BACK_OFF.0, false);
    loop {
        let error = match session(index, &client, &shared, &options, &mut told).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        {
            let mut shared = shared.borrow_mut();
            shared.broken += 1;
            shared.last_break = Some(format!("{error:#}"));
        }
        sleep(pause).await;
        pause = (pause * 2).min(BACK_OFF.1);
    }
}

/// Runs one connection to its end.
async fn session(
    index: usize,
    client: &RefCell<Client>,
    shared: &RefCell<Shared>,
    options: &Options,
    told: &mut bool,
) -> Result<Infallible> {
    let mut stream = connect(index, options.server)
        .await
        .with_context(|| format!("connecting to {}", options.server))?;
    let connection = Connection::open(
        options.mode.path(),
        &options.server.to_string(),
        options.windows,
    );
    let mut streams = Streams {
        connection,
        messages: Messages::default(),
    };
    let mut output = Vec::new();
    {
        let client = &mut *client.borrow_mut();
        client.begin(&mut shared.borrow_mut().tables);
        streams.connection.send(client.requests());
        client.requests().clear();
    }
    loop {
        std::mem::swap(&mut output, streams.connection.output());
        if !output.is_empty() {
            stream.write_all(&output).await.context("writing")?;
            output.clear();
        }
        {
            let (client, shared) = (&mut *client.borrow_mut(), &mut *shared.borrow_mut());
            if let Some(version) = client.saw_watched(&mut shared.tables) {
                shared.seen(version);
            }
            if !*told && client.is_complete() {
                *told = true;
                shared.complete();
            }
        }
        poll_fn(|cx| {
            receive(
                cx,
                &mut stream,
                &mut streams,
                &mut client.borrow_mut(),
                &mut shared.borrow_mut(),
            )
        })
        .await?;
    }
}

/// Reads into the thread's buffer and takes all of it: no client keeps a buffer of its own.
fn receive(
    cx: &mut Context<'_>,
    stream: &mut TcpStream,
    streams: &mut Streams,
    client: &mut Client,
    shared: &mut Shared,
) -> Poll<Result<()>> {
    let Shared {
        tables,
        buffer,
        bytes,
        watch,
        ..
    } = shared;
    let mut read = ReadBuf::new(buffer);
    let outcome = ready!(Pin::new(stream).poll_read(cx, &mut read))
        .context("reading")
        .and_then(|()| {
            ensure!(
                !read.filled().is_empty(),
                "the server has closed the connection"
            );
            *bytes += read.filled().len() as u64;
            let Streams {
                connection,
                messages,
            } = streams;
            connection.receive(read.filled(), |data| {
                messages.feed(data, |piece| client.take(piece, tables, *watch))
            })?;
            connection.send(client.requests());
            client.requests().clear();
            Ok(())
        });
    Poll::Ready(outcome)
}

async fn connect(index: usize, server: SocketAddr) -> Result<TcpStream> {
    let socket = if server.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }
    .context("making a socket")?;
    let source = index / CLIENTS_PER_SOURCE;
    if source > 0 && server.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST) {
        let last =
            u8::try_from(source + 1).context("too many clients for the addresses 127.0.0.x")?;
        socket
            .bind((Ipv4Addr::new(127, 0, 0, last), 0).into())
            .context("binding a source address")?;
    }
    let stream = socket.connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
