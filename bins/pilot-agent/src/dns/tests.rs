//! The proxy as its clients and the servers behind it see it: real sockets on loopback, a server that follows a script.

mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RecordType};
use pilothouse_xds::name_table::{self, NameInfo};
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::table::NameTable;
use super::{Counters, Dns, DnsError, Settings};
use upstream::{Upstream, Via};

/// A running proxy.
struct World {
    address: SocketAddr,
    counters: Arc<Counters>,
    names: watch::Sender<Option<Arc<NameTable>>>,
    stop: CancellationToken,
    tasks: JoinSet<Result<(), DnsError>>,
    _dir: tempfile::TempDir,
}

impl World {
    /// A proxy in front of these servers that knows the names of [`table`].
    async fn new(servers: &[SocketAddr]) -> Self {
        let world = Self::early(servers, Settings::default()).await;
        world.names.send_replace(Some(Arc::new(table())));
        world
    }

    /// The same without any names.
    async fn early(servers: &[SocketAddr], settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let resolv_conf = dir.path().join("resolv.conf");
        let mut text = String::from("search shop.svc.cluster.local svc.cluster.local\n");
        for server in servers {
            text += &format!("nameserver [{}]:{}\n", server.ip(), server.port());
        }
        std::fs::write(&resolv_conf, text).unwrap();
        let settings = Settings {
            addresses: vec!["127.0.0.1:0".parse().unwrap()],
            namespace: "shop".into(),
            resolv_conf,
            ..settings
        };
        let (names, receiver) = watch::channel(None);
        let dns = Dns::bind(settings, receiver).await.unwrap();
        let (address, counters) = (dns.addresses()[0], dns.counters());
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(dns.run(stop.clone()));
        Self {
            address,
            counters,
            names,
            stop,
            tasks,
            _dir: dir,
        }
    }

    async fn udp(&self, query: &Message) -> Message {
        let bytes = self.raw(&query.to_vec().unwrap()).await;
        answered(query, &bytes)
    }

    async fn raw(&self, query: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.address).await.unwrap();
        socket.send(query).await.unwrap();
        let mut bytes = vec![0; 65_535];
        let wait = tokio::time::timeout(Duration::from_secs(20), socket.recv(&mut bytes));
        let length = wait.await.expect("an answer").unwrap();
        bytes.truncate(length);
        bytes
    }

    async fn tcp(&self, query: &Message) -> Message {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let bytes = query.to_vec().unwrap();
        stream
            .write_u16(bytes.len().try_into().unwrap())
            .await
            .unwrap();
        stream.write_all(&bytes).await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut bytes = vec![0; usize::from(length)];
        stream.read_exact(&mut bytes).await.unwrap();
        answered(query, &bytes)
    }

    async fn ask(&self, name: &str, record_type: RecordType) -> Message {
        self.udp(&query(name, record_type)).await
    }

    /// Requests, those that were forwarded, and failures.
    fn counts(&self) -> (u64, u64, u64) {
        let counters = &self.counters;
        (
            counters.requests(),
            counters.upstream_requests(),
            counters.failures(),
        )
    }
}

fn table() -> NameTable {
    let info = |ips: &[String]| NameInfo {
        ips: ips.to_vec(),
        registry: name_table::KUBERNETES.into(),
        shortname: "web".into(),
        namespace: "shop".into(),
        alt_hosts: Vec::new(),
    };
    let many: Vec<String> = (0..200).map(|n| format!("10.1.0.{n}")).collect();
    let mut many = info(&many);
    many.shortname = "many".into();
    let web = info(&["10.0.0.1", "10.0.0.2"].map(String::from));
    let table = [
        ("web.shop.svc.cluster.local".to_owned(), web),
        ("many.shop.svc.cluster.local".to_owned(), many),
    ]
    .into();
    NameTable::from_resource(&name_table::NameTable { table }.encode_to_vec()).unwrap()
}

fn query(name: &str, record_type: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), record_type));
    message.metadata.recursion_desired = true;
    message
}

/// With the client's side of EDNS.
fn with_edns(mut query: Message, payload: u16) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(payload).set_dnssec_ok(true);
    query.set_edns(edns);
    query
}

fn answered(query: &Message, bytes: &[u8]) -> Message {
    let answer = Message::from_vec(bytes).unwrap();
    assert_eq!(answer.metadata.id, query.metadata.id);
    assert_eq!(answer.queries, query.queries);
    answer
}

fn data(answer: &Message) -> Vec<String> {
    answer.answers.iter().map(|r| r.data.to_string()).collect()
}

#[tokio::test]
async fn names_of_the_mesh_are_answered_without_asking_anybody() {
    let upstream = Upstream::start(|_, _| panic!("asked")).await;
    let world = World::new(&[upstream.address]).await;
    for name in [
        "web.shop.svc.cluster.local.",
        "WEB.Shop.",
        "web.shop.svc.",
        "web.",
    ] {
        let answer = world.ask(name, RecordType::A).await;
        let mut found = data(&answer);
        found.sort();
        assert_eq!(found, ["10.0.0.1", "10.0.0.2"], "{name}");
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
        assert!(answer.metadata.authoritative && answer.metadata.recursion_available);
        assert!(answer.answers.iter().all(|record| record.ttl == 30));
    }
    let none = world.ask("web.shop.", RecordType::AAAA).await;
    assert_eq!(none.metadata.response_code, ResponseCode::NoError);
    assert_eq!(data(&none), [""; 0]);
    let expanded = world
        .ask(
            "web.shop.svc.cluster.local.svc.cluster.local.",
            RecordType::A,
        )
        .await;
    assert_eq!(data(&expanded)[0], "web.shop.svc.cluster.local.");
    assert_eq!(expanded.answers.len(), 3);
    let by_tcp = world.tcp(&query("web.shop.", RecordType::A)).await;
    assert_eq!(by_tcp.answers.len(), 2);
    assert_eq!(world.counts(), (7, 0, 0));
}

#[tokio::test]
async fn every_address_comes_first_in_turn() {
    let world = World::new(&[]).await;
    let mut firsts = Vec::new();
    for _ in 0..4 {
        firsts.push(data(&world.ask("web.", RecordType::A).await)[0].clone());
    }
    assert_eq!(firsts, ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"]);
}

#[tokio::test]
async fn what_does_not_fit_is_truncated_and_whole_by_tcp() {
    let world = World::new(&[]).await;
    let plain = query("many.shop.", RecordType::A);
    let check = async |query: &Message, limit: usize, whole: bool| {
        let bytes = world.raw(&query.to_vec().unwrap()).await;
        let answer = answered(query, &bytes);
        assert!(bytes.len() <= limit, "{} bytes of {limit}", bytes.len());
        assert_eq!(answer.metadata.truncation, !whole, "{limit}");
        assert_eq!(answer.answers.len() == 200, whole, "{limit}");
        assert_eq!(answer.edns.is_some(), query.edns.is_some());
    };
    check(&plain, 512, false).await;
    check(&with_edns(plain.clone(), 0), 512, false).await;
    check(&with_edns(plain.clone(), 1232), 1232, false).await;
    check(&with_edns(plain.clone(), 4096), 4096, true).await;
    assert_eq!(world.tcp(&plain).await.answers.len(), 200);
}

#[tokio::test]
async fn other_names_are_forwarded_as_they_were_asked() {
    let upstream = Upstream::start(|query, _| {
        let mut answer = upstream::answer(query, &["192.0.2.1"]);
        if let Some(edns) = &query.edns {
            let mut edns = edns.clone();
            edns.options_mut()
                .insert(EdnsOption::Unknown(65_001, vec![7]));
            answer.set_edns(edns);
        }
        Some(answer)
    })
    .await;
    let world = World::new(&[upstream.address]).await;
    let answer = world.ask("Example.COM.", RecordType::A).await;
    assert_eq!(data(&answer), ["192.0.2.1"]);
    let asked = with_edns(query("example.com.", RecordType::A), 1400);
    let answer = world.udp(&asked).await;
    let edns = answer.edns.unwrap();
    assert!(edns.flags().dnssec_ok);
    let option = edns.option(EdnsCode::Unknown(65_001)).cloned();
    assert_eq!(option, Some(EdnsOption::Unknown(65_001, vec![7])));
    assert_eq!(data(&world.tcp(&asked).await), ["192.0.2.1"]);
    let heard = upstream.heard();
    assert_eq!(heard[0].0.queries[0].name().to_ascii(), "Example.COM.");
    assert_eq!(heard[1].0.edns.as_ref().unwrap().max_payload(), 1400);
    assert_eq!(world.counts(), (3, 3, 0));
}

#[tokio::test]
async fn a_name_of_the_mesh_exists_whatever_others_say() {
    let upstream = Upstream::start(|query, _| {
        let mut answer = upstream::answer(query, &[]);
        answer.metadata.response_code = ResponseCode::NXDomain;
        Some(answer)
    })
    .await;
    let world = World::new(&[upstream.address]).await;
    let code = async |name, record_type| world.ask(name, record_type).await.metadata.response_code;
    assert_eq!(
        code("web.shop.", RecordType::HTTPS).await,
        ResponseCode::NoError
    );
    assert_eq!(
        code("other.shop.", RecordType::HTTPS).await,
        ResponseCode::NXDomain
    );
    assert_eq!(
        code("other.shop.", RecordType::A).await,
        ResponseCode::NXDomain
    );
}

#[tokio::test]
async fn what_is_truncated_upstream_is_asked_for_by_tcp() {
    let ips: Vec<String> = (0..100).map(|n| format!("192.0.2.{n}")).collect();
    let upstream = Upstream::start(move |query, via| {
        let ips: Vec<&str> = ips.iter().map(String::as_str).collect();
        let mut answer = upstream::answer(query, if via == Via::Tcp { &ips } else { &[] });
        answer.metadata.truncation = via == Via::Udp;
        Some(answer)
    })
    .await;
    let world = World::new(&[upstream.address]).await;
    let asked = query("big.com.", RecordType::A);
    assert_eq!(world.tcp(&asked).await.answers.len(), 100);
    assert_eq!(
        world
            .udp(&with_edns(asked.clone(), 4000))
            .await
            .answers
            .len(),
        100
    );
    let short = world.udp(&asked).await;
    assert!(short.metadata.truncation && short.answers.len() < 100);
}

#[tokio::test]
async fn a_server_that_lies_is_not_believed() {
    let upstream = Upstream::start(|query, _| {
        // One query, and before its answer an answer to another, with the same number.
        let mut other = upstream::answer(query, &["192.0.2.66"]);
        other.queries = vec![Query::query(
            Name::from_ascii("x.com.").unwrap(),
            RecordType::A,
        )];
        Some(other)
    })
    .also(|query| {
        let mut other = upstream::answer(query, &["192.0.2.67"]);
        other.metadata.id = other.metadata.id.wrapping_add(1);
        other
    })
    .also(|query| upstream::answer(query, &["192.0.2.1"]))
    .await;
    let world = World::new(&[upstream.address]).await;
    assert_eq!(
        data(&world.ask("example.com.", RecordType::A).await),
        ["192.0.2.1"]
    );
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_fails_or_lets_wait() {
    let good = Upstream::start(|query, _| Some(upstream::answer(query, &["192.0.2.1"]))).await;
    let silent = Upstream::start(|_, _| None).await;
    let failing = Upstream::start(|query, _| {
        let mut answer = upstream::answer(query, &[]);
        answer.metadata.response_code = ResponseCode::ServFail;
        Some(answer)
    })
    .await;
    let closed = Upstream::start(|_, _| None).await.close();
    for bad in [silent.address, failing.address, closed] {
        let settings = Settings {
            forward_timeout: Duration::from_secs(4),
            ..Settings::default()
        };
        let world = World::early(&[bad, good.address], settings).await;
        world.names.send_replace(Some(Arc::default()));
        assert_eq!(
            data(&world.ask("a.com.", RecordType::A).await),
            ["192.0.2.1"],
            "{bad}"
        );
    }
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let silent = Upstream::start(|_, _| None).await;
    let settings = || Settings {
        forward_timeout: Duration::from_millis(200),
        ..Settings::default()
    };
    for servers in [&[silent.address][..], &[]] {
        let world = World::early(servers, settings()).await;
        world.names.send_replace(Some(Arc::default()));
        let answer = world.ask("a.com.", RecordType::A).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
        assert_eq!(world.counts(), (1, 1, 1));
    }
    assert!(silent.heard().len() >= 2, "it is asked once more");
}

#[tokio::test]
async fn only_so_many_wait_at_the_same_time() {
    let silent = Upstream::start(|_, _| None).await;
    let settings = Settings {
        in_flight: 1,
        forward_timeout: Duration::from_secs(600),
        ..Settings::default()
    };
    let world = World::early(&[silent.address], settings).await;
    world.names.send_replace(Some(Arc::new(table())));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let first = query("a.com.", RecordType::A).to_vec().unwrap();
    socket.send_to(&first, world.address).await.unwrap();
    silent.hears().await;
    let second = world.ask("b.com.", RecordType::A).await;
    assert_eq!(second.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(world.ask("web.", RecordType::A).await.answers.len(), 2);
    assert_eq!(world.counts(), (3, 1, 1));
}

#[tokio::test]
async fn before_there_is_a_table_nobody_is_told_that_a_name_does_not_exist() {
    let upstream = Upstream::start(|query, _| Some(upstream::answer(query, &["192.0.2.1"]))).await;
    let settings = Settings {
        outside: vec!["discovery.example.com".into()],
        ..Settings::default()
    };
    let world = World::early(&[upstream.address], settings).await;
    let code = async |name, record_type| world.ask(name, record_type).await.metadata.response_code;
    assert_eq!(code("web.", RecordType::A).await, ResponseCode::ServFail);
    assert_eq!(
        code("example.com.", RecordType::AAAA).await,
        ResponseCode::ServFail
    );
    assert_eq!(
        code("discovery.example.com.", RecordType::A).await,
        ResponseCode::NoError
    );
    assert_eq!(
        code("1.0.0.10.in-addr.arpa.", RecordType::PTR).await,
        ResponseCode::NoError
    );
    assert_eq!(world.counts(), (4, 2, 2));
    world.names.send_replace(Some(Arc::new(table())));
    assert_eq!(code("web.", RecordType::A).await, ResponseCode::NoError);
    assert_eq!(
        code("example.com.", RecordType::A).await,
        ResponseCode::NoError
    );
}

#[tokio::test]
async fn nonsense_is_refused_or_ignored_and_the_proxy_lives_on() {
    let world = World::new(&[]).await;
    let good = query("web.", RecordType::A).to_vec().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // Every prefix, every byte turned round, and what never was a message.
    let prefixes = (0..good.len()).map(|end| good[..end].to_vec());
    let turned = (0..good.len()).map(|at| {
        let mut bytes = good.clone();
        bytes[at] = !bytes[at];
        bytes
    });
    let pointing_at_itself = [&good[..12], &[0xc0, 12, 0, 1, 0, 1]].concat();
    let others = [vec![0; 12], vec![0xff; 4000], pointing_at_itself];
    for bytes in prefixes.chain(turned).chain(others) {
        socket.send_to(&bytes, world.address).await.unwrap();
    }
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(&[0xff; 70_000]).await.unwrap_or_default();
    drop(stream);

    let code = |bytes: &[u8]| Message::from_vec(bytes).unwrap().metadata.response_code;
    let mut two = query("web.", RecordType::A);
    two.add_query(two.queries[0].clone());
    assert_eq!(
        code(&world.raw(&two.to_vec().unwrap()).await),
        ResponseCode::FormErr
    );
    let mut update = good.clone();
    update[2] = 5 << 3;
    assert_eq!(code(&world.raw(&update).await), ResponseCode::NotImp);
    let mut newer = with_edns(query("web.", RecordType::A), 1232);
    newer.edns.as_mut().unwrap().set_version(1);
    let badvers = u16::from(ResponseCode::BADVERS);
    assert_eq!(
        u16::from(code(&world.raw(&newer.to_vec().unwrap()).await)),
        badvers
    );
    assert_eq!(world.ask("web.", RecordType::A).await.answers.len(), 2);
}

#[tokio::test]
async fn it_stops_when_it_is_told_to_and_what_is_taken_is_said() {
    let mut world = World::new(&[]).await;
    let settings = Settings {
        addresses: vec![world.address],
        ..Settings::default()
    };
    let error = Dns::bind(settings, world.names.subscribe())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains(&world.address.to_string()),
        "{error}"
    );
    world.stop.cancel();
    world.tasks.join_next().await.unwrap().unwrap().unwrap();
}
