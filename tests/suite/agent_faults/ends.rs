//! Ends: of Envoy, of the agent, asked for and not.

use anyhow::Result;
use pilothouse_tests::http::{self, Answer};
use pilothouse_tests::mesh_dir::ServiceEntry;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::wait::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::scene::{Agent, Options, gone, kill};
use crate::world::{SOON, Scratch, World};

#[tokio::test]
async fn a_killed_envoy_ends_the_agent_with_the_reason() {
    let world = World::of(&[]).await;
    let mut agent = Options::new(world.discovery.addresses().grpc, world.dir())
        .start()
        .await;
    agent.ready().await;
    kill(agent.envoy().await, "KILL");
    assert_eq!(agent.ended().await.code(), Some(137), "{}", agent.log());
    let said = "Envoy was ended by signal 9 (SIGKILL)";
    assert!(agent.log().contains(said), "{}", agent.log());
}

#[tokio::test]
async fn a_killed_agent_leaves_no_envoy() {
    let world = World::of(&[]).await;
    let mut agent = Options::new(world.discovery.addresses().grpc, world.dir())
        .start()
        .await;
    agent.ready().await;
    let envoy = agent.envoy().await;
    agent.signal("KILL");
    gone(envoy).await;
    assert_eq!(agent.ended().await.code(), None);
}

/// A sidecar with a request under way that its backend has not answered.
struct UnderWay {
    agent: Agent,
    /// The backend's side of it.
    backend: TcpStream,
    answers: JoinSet<Result<Answer>>,
    _world: World,
}

impl UnderWay {
    async fn start(flags: &[&str]) -> Self {
        let via = free_address().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let entry = ServiceEntry::http("slow", "slow.test", via.port()).endpoint(at);
        let world = World::of(&[&entry]).await;
        let mut agent = Options::new(world.discovery.addresses().grpc, world.dir())
            .flags(flags)
            .start()
            .await;
        agent.ready().await;
        let listens = async || Ok(TcpStream::connect(via).await?);
        drop(eventually("Envoy listens", SOON, listens).await.unwrap());
        let mut answers = JoinSet::new();
        answers.spawn(async move { http::get(via, "slow.test", "/", SOON).await });
        let (mut backend, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
        assert!(backend.read(&mut [0; 4096]).await.unwrap() > 0);
        Self {
            agent,
            backend,
            answers,
            _world: world,
        }
    }

    async fn answer(&mut self) -> Result<Answer> {
        self.answers.join_next().await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn what_is_under_way_ends_before_envoy_does() {
    let mut scene = UnderWay::start(&["--log_output_level", "default:debug"]).await;
    let envoy = scene.agent.envoy().await;
    scene.agent.signal("TERM");
    scene.agent.logs("Envoy drains").await;
    scene.agent.says_why_not("drained").await;
    scene.agent.logs("connections are left").await;
    scene
        .backend
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")
        .await
        .unwrap();
    let answer = scene.answer().await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "done"));
    assert_eq!(
        scene.agent.ended().await.code(),
        Some(0),
        "{}",
        scene.agent.log()
    );
    assert!(
        scene.agent.log().contains("no connection is left"),
        "{}",
        scene.agent.log()
    );
    gone(envoy).await;
}

#[tokio::test]
async fn what_never_ends_is_waited_for_so_long_and_no_longer() {
    let mut scene = UnderWay::start(&["--terminationDrainDuration", "1s"]).await;
    scene.agent.signal("TERM");
    assert_eq!(
        scene.agent.ended().await.code(),
        Some(0),
        "{}",
        scene.agent.log()
    );
    assert!(
        scene.agent.log().contains("for as long as is allowed"),
        "{}",
        scene.agent.log()
    );
    assert!(scene.answer().await.is_err());
}

#[tokio::test]
async fn a_second_signal_ends_everything_at_once() {
    let mut scene = UnderWay::start(&[]).await;
    let envoy = scene.agent.envoy().await;
    scene.agent.signal("TERM");
    scene.agent.logs("Envoy drains").await;
    scene.agent.signal("INT");
    assert_eq!(
        scene.agent.ended().await.code(),
        Some(1),
        "{}",
        scene.agent.log()
    );
    assert!(
        scene.agent.log().contains("SIGINT"),
        "{}",
        scene.agent.log()
    );
    gone(envoy).await;
    assert!(scene.answer().await.is_err());
}

/// As process 1 of a container it inherits orphans, and waits for them.
#[tokio::test]
async fn the_first_process_leaves_no_zombie() {
    let dir = Scratch::new();
    // Ten orphans that end at once; the script exits with what is left of them.
    let script = "
        for n in 0 1 2 3 4 5 6 7 8 9; do (sh -c 'sleep 0.05' &); done
        sleep 0.5
        n=0
        while grep -qs '^State:.Z' /proc/[0-9]*/status && [ $n -lt 100 ]; do sleep 0.05; n=$((n+1)); done
        echo \"first process: $(tr '\\0' ' ' < /proc/1/cmdline)\"
        exit $(grep -ls '^State:.Z' /proc/[0-9]*/status | wc -l)";
    let mut agent = Options::new(free_address().unwrap(), dir.path())
        .script(script)
        .through(&["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .start()
        .await;
    assert_eq!(agent.ended().await.code(), Some(0), "{}", agent.log());
    let log = agent.log();
    let first = log.lines().find(|line| line.starts_with("first process:"));
    assert!(first.unwrap().contains("pilot-agent proxy"), "{log}");
}
