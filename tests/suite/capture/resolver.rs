//! A DNS server that knows one name, and remembers what it was asked.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use pilothouse_tests::netns::Machine;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// Flags of an answer, without and with the news that there is no such name.
const ANSWER: u16 = 0x8180;
const NO_SUCH_NAME: u16 = 0x8183;
/// The type of records with an address of IPv4.
const A: [u8; 2] = [0, 1];

/// A DNS server on a machine, at port 53 of both versions of IP; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Resolver {
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Resolver {
    /// Knows that `name` has the address `ip`, and nothing else.
    pub(crate) fn start(machine: &Machine, name: &'static str, ip: Ipv4Addr) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let mut tasks = JoinSet::new();
        for address in [IpAddr::from(machine.v4()), machine.v6().into()] {
            let socket = machine.datagrams((address, 53).into()).unwrap();
            tasks.spawn(serve(socket, name, ip, Arc::clone(&asked)));
        }
        Self {
            asked,
            _tasks: tasks,
        }
    }

    /// The names that it was asked for, each once.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut all = self
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        all.sort();
        all.dedup();
        all
    }
}

async fn serve(socket: UdpSocket, known: &str, ip: Ipv4Addr, asked: Arc<Mutex<Vec<String>>>) {
    let mut buffer = [0; 512];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
        let Some((name, answer)) = buffer
            .get(..length)
            .and_then(|query| answer(query, known, ip))
        else {
            continue;
        };
        asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(name);
        // A client that has gone is its own affair.
        socket.send_to(&answer, peer).await.ok();
    }
}

/// The name that a query asks for, and the answer to it.
fn answer(query: &[u8], known: &str, ip: Ipv4Addr) -> Option<(String, Vec<u8>)> {
    let id = query.get(..2)?;
    let mut rest = query.get(12..)?;
    let mut name = String::new();
    while let [length, tail @ ..] = rest
        && *length > 0
    {
        let (label, tail) = tail.split_at_checked(usize::from(*length))?;
        name.push_str(&String::from_utf8_lossy(label));
        name.push('.');
        rest = tail;
    }
    let kind = rest.get(1..3)?;
    let question = query.get(12..query.len() - rest.len() + 5)?;
    let (flags, count) = match (name == known, kind == A) {
        (false, _) => (NO_SUCH_NAME, 0_u16),
        (true, has) => (ANSWER, has.into()),
    };
    let mut answer = id.to_vec();
    for number in [flags, 1, count, 0, 0] {
        answer.extend(number.to_be_bytes());
    }
    answer.extend(question);
    if count == 1 {
        // The name as in the question, type and class, a minute, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(ip.octets());
    }
    Some((name, answer))
}
