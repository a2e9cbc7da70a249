//! Asks other servers: by UDP, by TCP where an answer does not fit, the next one while the first lets wait.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use hickory_proto::op::{Message, Query, ResponseCode};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, sleep_until};

/// Answers by UDP may be this long, whatever was asked for.
const DATAGRAM: usize = 4096;

/// How often each server is asked.
const ROUNDS: usize = 2;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum ForwardError {
    #[error("there is no other server")]
    NoServers,
    #[error("no server has answered within {0:?}")]
    Timeout(Duration),
    #[error("asking {0}: {1}")]
    Failed(SocketAddr, io::Error),
    #[error("{0} queries are waiting already")]
    Busy(usize),
}

/// A query to be passed on.
#[derive(Debug)]
pub(super) struct Forwarded<'a> {
    /// The message as it came.
    pub(super) raw: &'a [u8],
    /// What it asks.
    pub(super) query: &'a Query,
    /// How long an answer by UDP may be.
    pub(super) max_payload: u16,
}

/// The first good answer, or else any. A server that lets wait is not given up when the next one is asked.
pub(super) async fn forward(
    query: &Forwarded<'_>,
    servers: &[SocketAddr],
    limit: Duration,
) -> Result<Message, ForwardError> {
    let attempts = u32::try_from(servers.len() * ROUNDS).unwrap_or(u32::MAX);
    let Some(patience) = limit.checked_div(attempts) else {
        return Err(ForwardError::NoServers);
    };
    let deadline = Instant::now() + limit;
    let mut upcoming: VecDeque<SocketAddr> = [servers; ROUNDS].concat().into();
    let mut asked = FuturesUnordered::new();
    let mut next = Instant::now();
    let mut bad = None;
    let mut failed = ForwardError::Timeout(limit);
    loop {
        let is_next = !upcoming.is_empty();
        tokio::select! {
            biased;
            Some((server, answer)) = asked.next(), if !asked.is_empty() => {
                match answer {
                    Ok(answer) if is_good(&answer) => return Ok(answer),
                    Ok(answer) => bad = Some(answer),
                    Err(error) => failed = ForwardError::Failed(server, error),
                }
                next = Instant::now();
            }
            () = sleep_until(next), if is_next => {
                if let Some(server) = upcoming.pop_front() {
                    asked.push(async move { (server, ask(query, server).await) });
                }
                next = Instant::now() + patience;
            }
            () = sleep_until(deadline) => {
                failed = ForwardError::Timeout(limit);
                break;
            }
        }
        if asked.is_empty() && upcoming.is_empty() {
            break;
        }
    }
    bad.ok_or(failed)
}

/// Whether another server could not say better.
fn is_good(answer: &Message) -> bool {
    !matches!(
        answer.metadata.response_code,
        ResponseCode::ServFail | ResponseCode::Refused | ResponseCode::NotImp
    )
}

async fn ask(query: &Forwarded<'_>, server: SocketAddr) -> io::Result<Message> {
    let id = id();
    let mut message = query.raw.to_vec();
    if let Some(first) = message.first_chunk_mut() {
        *first = id.to_be_bytes();
    }
    let answer = by_udp(query, &message, id, server).await?;
    if !answer.metadata.truncation {
        return Ok(answer);
    }
    // As much as is there is better than nothing: the client is told that there is more.
    Ok(by_tcp(query, &message, id, server).await.unwrap_or(answer))
}

async fn by_udp(
    query: &Forwarded<'_>,
    message: &[u8],
    id: u16,
    server: SocketAddr,
) -> io::Result<Message> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A port of its own for each query: nobody guesses both it and the number.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(message).await?;
    let mut datagram = vec![0; usize::from(query.max_payload).max(DATAGRAM)];
    loop {
        let length = socket.recv(&mut datagram).await?;
        let bytes = datagram.get(..length).unwrap_or_default();
        if let Some(answer) = answer_to(query, id, bytes) {
            return Ok(answer);
        }
    }
}

async fn by_tcp(
    query: &Forwarded<'_>,
    message: &[u8],
    id: u16,
    server: SocketAddr,
) -> io::Result<Message> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut stream = TcpStream::connect(server).await?;
    let framed = [&length.to_be_bytes(), message].concat();
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    let nonsense = || io::Error::new(io::ErrorKind::InvalidData, "it is no answer to the query");
    answer_to(query, id, &bytes).ok_or_else(nonsense)
}

/// The answer to this query; `None` for anything else.
fn answer_to(query: &Forwarded<'_>, id: u16, bytes: &[u8]) -> Option<Message> {
    use hickory_proto::op::MessageType::Response;
    let answer = Message::from_vec(bytes).ok()?;
    let is_to_this = answer.metadata.id == id && answer.metadata.message_type == Response;
    let same = |other: &Query| {
        other.query_type() == query.query.query_type()
            && other.query_class() == query.query.query_class()
            && other.name().to_lowercase() == query.query.name().to_lowercase()
    };
    // Some servers leave the question out of errors.
    let is_of_it = answer.queries.iter().all(same)
        && (answer.queries.len() == 1 || !is_good(&answer) && answer.queries.is_empty());
    (is_to_this && is_of_it).then_some(answer)
}

/// A number that nobody guesses.
fn id() -> u16 {
    let [a, b, ..] = RandomState::new().hash_one(()).to_le_bytes();
    u16::from_le_bytes([a, b])
}
