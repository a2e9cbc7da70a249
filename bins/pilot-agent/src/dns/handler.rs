//! One query from the wire to the wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use hickory_proto::op::{Edns, Message, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::Record;
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::sync::{Semaphore, watch};

use super::answer::{Question, Verdict, answer};
use super::forward::{ForwardError, Forwarded, forward};
use super::resolv_conf::ResolvConf;
use super::table::{Local, NameTable};
use super::{Counters, Settings};

/// The longest answer by UDP of our own making.
const DATAGRAM: u16 = 4096;

/// The longest answer that every client takes.
const SMALLEST: u16 = 512;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Handler {
    settings: Settings,
    names: watch::Receiver<Option<Arc<NameTable>>>,
    resolv_conf: watch::Receiver<Arc<ResolvConf>>,
    counters: Arc<Counters>,
    in_flight: Semaphore,
    turn: AtomicUsize,
}

/// What is sent.
struct Reply {
    metadata: Metadata,
    edns: Option<Edns>,
    answers: Vec<Record>,
    authorities: Vec<Record>,
    additionals: Vec<Record>,
}

impl Handler {
    pub(super) fn new(
        settings: Settings,
        names: watch::Receiver<Option<Arc<NameTable>>>,
        resolv_conf: watch::Receiver<Arc<ResolvConf>>,
    ) -> Self {
        Self {
            in_flight: Semaphore::new(settings.in_flight),
            settings,
            names,
            resolv_conf,
            counters: Arc::default(),
            turn: AtomicUsize::new(0),
        }
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    async fn reply(&self, request: &Request) -> Reply {
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        if request.metadata.op_code != OpCode::Query {
            return Reply::error(request, ResponseCode::NotImp);
        }
        if request.version() > 0 {
            return Reply::error(request, ResponseCode::BADVERS);
        }
        let [query] = request.queries.queries() else {
            return Reply::error(request, ResponseCode::FormErr);
        };
        let query = query.original();
        let question = Question {
            name: query.name(),
            record_type: query.query_type(),
            class: query.query_class(),
        };
        let resolv_conf = Arc::clone(&self.resolv_conf.borrow());
        let names = self.names.borrow().clone();
        let local = Local {
            namespace: &self.settings.namespace,
            search: &resolv_conf.search,
        };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (outside, ttl) = (&self.settings.outside, self.settings.ttl);
        match answer(&question, names.as_deref(), local, outside, turn, ttl) {
            Verdict::Answer(records) => Reply::answer(request, records),
            Verdict::Early => {
                tracing::debug!(target: "dns", name = %question.name, "discovery has not sent the names of the mesh yet");
                self.failure(request)
            }
            verdict @ (Verdict::Forward | Verdict::ForwardKnown) => {
                let forwarded = Forwarded {
                    raw: request.as_slice(),
                    query,
                    max_payload: request.max_payload(),
                };
                match self.forward(&forwarded, &resolv_conf).await {
                    Ok(answer) => {
                        Reply::forwarded(request, answer, verdict == Verdict::ForwardKnown)
                    }
                    Err(error) => {
                        tracing::debug!(target: "dns", name = %question.name, %error, "a name could not be forwarded");
                        self.failure(request)
                    }
                }
            }
        }
    }

    async fn forward(
        &self,
        query: &Forwarded<'_>,
        resolv_conf: &ResolvConf,
    ) -> Result<Message, ForwardError> {
        let Ok(_permit) = self.in_flight.try_acquire() else {
            return Err(ForwardError::Busy(self.settings.in_flight));
        };
        self.counters
            .upstream_requests
            .fetch_add(1, Ordering::Relaxed);
        forward(query, &resolv_conf.servers, self.settings.forward_timeout).await
    }

    fn failure(&self, request: &Request) -> Reply {
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        Reply::error(request, ResponseCode::ServFail)
    }
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let reply = self.reply(request).await;
        let response = MessageResponseBuilder::new(&request.queries, reply.edns.as_ref()).build(
            reply.metadata,
            &reply.answers,
            &reply.authorities,
            [],
            &reply.additionals,
        );
        match response_handle.send_response(response).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(target: "dns", client = %request.src(), %error, "an answer could not be sent");
                let metadata = reply.metadata;
                hickory_proto::op::Header {
                    metadata,
                    counts: Default::default(),
                }
                .into()
            }
        }
    }
}

impl Reply {
    fn error(request: &Request, code: ResponseCode) -> Self {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = code;
        metadata.recursion_available = true;
        Self {
            metadata,
            edns: edns(request),
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
        }
    }

    fn answer(request: &Request, records: Vec<Record>) -> Self {
        let mut reply = Self::error(request, ResponseCode::NoError);
        reply.metadata.authoritative = true;
        reply.answers = records;
        reply
    }

    /// `exists`: the name is there, whatever `answer` says.
    fn forwarded(request: &Request, answer: Message, exists: bool) -> Self {
        let mut metadata = answer.metadata;
        metadata.id = request.metadata.id;
        if exists && metadata.response_code == ResponseCode::NXDomain {
            metadata.response_code = ResponseCode::NoError;
        }
        let edns = match (edns(request), answer.edns) {
            (Some(own), Some(mut theirs)) => {
                // It is also what the encoder keeps to.
                theirs.set_max_payload(own.max_payload().max(request.max_payload()));
                Some(theirs)
            }
            (own, _) => own,
        };
        Self {
            metadata,
            edns,
            answers: answer.answers,
            authorities: answer.authorities,
            additionals: answer.additionals,
        }
    }
}

/// What is said of the protocol to a client that says something of it.
fn edns(request: &Request) -> Option<Edns> {
    let theirs = request.edns.as_ref()?;
    let mut edns = Edns::new();
    edns.set_max_payload(request.max_payload().clamp(SMALLEST, DATAGRAM));
    edns.set_dnssec_ok(theirs.flags().dnssec_ok);
    Some(edns)
}
