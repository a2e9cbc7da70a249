//! Connections: TCP, TLS over TCP, or a socket in the file system.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Address, Settings, tls};

/// Makes connections to one agent, whatever the URL says, and no more of them than settings permit.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    settings: Arc<Settings>,
    places: Arc<Semaphore>,
}

impl Connector {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(settings.max_connections.max(1))),
            settings,
        }
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<Stream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { settings, places } = self.clone();
        Box::pin(async move {
            // Whoever waits here is given a connection that has become idle instead, if that is sooner.
            let place = places.acquire_owned().await.map_err(io::Error::other)?;
            let over = timeout(settings.timeout, connect(&settings)).await??;
            Ok(TokioIo::new(Stream {
                over,
                _place: place,
            }))
        })
    }
}

async fn connect(settings: &Arc<Settings>) -> io::Result<Over> {
    let (tls, host, port) = match &settings.address {
        Address::Unix(path) => return Ok(Over::Unix(UnixStream::connect(path).await?)),
        Address::Tcp { tls, host, port } => (*tls, host, *port),
    };
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    stream.set_nodelay(true)?;
    if !tls {
        return Ok(Over::Tcp(stream));
    }
    let name = match settings.server_name.as_str() {
        "" => host,
        name => name,
    };
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let of_files = settings.clone();
    let config = tokio::task::spawn_blocking(move || tls::client_config(&of_files)).await??;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    Ok(Over::Tls(Box::new(stream)))
}

/// A connection, which gives its place back when it is dropped.
#[derive(Debug)]
pub(super) struct Stream {
    over: Over,
    _place: OwnedSemaphorePermit,
}

/// What it goes over.
#[derive(Debug)]
enum Over {
    Tcp(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    Unix(UnixStream),
}

trait Both: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

impl Stream {
    fn inner(self: Pin<&mut Self>) -> Pin<&mut dyn Both> {
        match &mut self.get_mut().over {
            Over::Tcp(stream) => Pin::new(stream),
            Over::Tls(stream) => Pin::new(&mut **stream),
            Over::Unix(stream) => Pin::new(stream),
        }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner().poll_read(context, to)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write(context, from)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(context)
    }
}
