//! A DNS server that follows a script.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    Udp,
    Tcp,
}

type Script = dyn Fn(&Message, Via) -> Option<Message> + Send + Sync;
type Further = dyn Fn(&Message) -> Message + Send + Sync;

/// A server to be started by awaiting it.
pub(super) struct Starting {
    script: Box<Script>,
    further: Vec<Box<Further>>,
}

/// A running server.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    heard: watch::Receiver<Vec<(Message, Via)>>,
    _tasks: JoinSet<()>,
}

/// An answer with these addresses.
pub(super) fn answer(query: &Message, ips: &[&str]) -> Message {
    let mut answer = query.clone().into_response();
    answer.edns = None;
    answer.metadata.recursion_available = true;
    for ip in ips {
        let data = RData::A(A(ip.parse().unwrap()));
        answer.add_answer(Record::from_rdata(
            query.queries[0].name().clone(),
            60,
            data,
        ));
    }
    answer
}

impl Upstream {
    /// What `script` says to each query; `None` says nothing.
    pub(super) fn start(
        script: impl Fn(&Message, Via) -> Option<Message> + Send + Sync + 'static,
    ) -> Starting {
        Starting {
            script: Box::new(script),
            further: Vec::new(),
        }
    }

    /// All queries so far.
    pub(super) fn heard(&self) -> Vec<(Message, Via)> {
        self.heard.borrow().clone()
    }

    /// Waits for the first query.
    pub(super) async fn hears(&self) {
        let mut heard = self.heard.clone();
        heard.wait_for(|heard| !heard.is_empty()).await.unwrap();
    }

    /// Ends. Returns where it was, and nobody is.
    pub(super) fn close(self) -> SocketAddr {
        self.address
    }
}

impl Starting {
    /// After an answer by UDP, what `further` says to the same query comes as well.
    pub(super) fn also(
        mut self,
        further: impl Fn(&Message) -> Message + Send + Sync + 'static,
    ) -> Self {
        self.further.push(Box::new(further));
        self
    }

    async fn start(self) -> Upstream {
        let (udp, tcp, address) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = tcp.local_addr().unwrap();
            if let Ok(udp) = UdpSocket::bind(address).await {
                break (udp, tcp, address);
            }
        };
        let (note, heard) = watch::channel(Vec::new());
        let script = Arc::new(self.script);
        let say = {
            let (script, note) = (Arc::clone(&script), note.clone());
            move |query: &Message, via| {
                note.send_modify(|heard| heard.push((query.clone(), via)));
                script(query, via)
            }
        };
        let mut tasks = JoinSet::new();
        let further = self.further;
        let by_udp = say.clone();
        tasks.spawn(async move {
            let mut bytes = vec![0; 65_535];
            loop {
                let (length, client) = udp.recv_from(&mut bytes).await.unwrap();
                let query = Message::from_vec(&bytes[..length]).unwrap();
                let first = by_udp(&query, Via::Udp);
                for answer in first.into_iter().chain(further.iter().map(|f| f(&query))) {
                    udp.send_to(&answer.to_vec().unwrap(), client)
                        .await
                        .unwrap();
                }
            }
        });
        tasks.spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let length = stream.read_u16().await.unwrap();
                let mut bytes = vec![0; usize::from(length)];
                stream.read_exact(&mut bytes).await.unwrap();
                if let Some(answer) = say(&Message::from_vec(&bytes).unwrap(), Via::Tcp) {
                    let bytes = answer.to_vec().unwrap();
                    stream
                        .write_u16(bytes.len().try_into().unwrap())
                        .await
                        .unwrap();
                    stream.write_all(&bytes).await.unwrap();
                }
            }
        });
        Upstream {
            address,
            heard,
            _tasks: tasks,
        }
    }
}

impl IntoFuture for Starting {
    type Output = Upstream;
    type IntoFuture = Pin<Box<dyn Future<Output = Upstream> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}
