//! Ends: of Envoy, of the agent, asked for and not.

use std::process::Command;

use anyhow::Result;
use pilothouse_tests::agent::Agent;
use pilothouse_tests::http::{self, Answer};
use pilothouse_tests::mesh_dir::ServiceEntry;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::process::Process;
use pilothouse_tests::wait::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::scene::{ended, gone, log, logs, options, says_why_not, scripted, signal};
use crate::world::{SOON, Scratch, World};

#[tokio::test]
async fn a_killed_envoy_ends_the_agent_with_the_reason() {
    let world = World::of(&[]).await;
    let mut agent = ready(&world, &[]).await;
    signal(agent.envoy_id().unwrap(), "KILL");
    let status = ended(agent.process()).await;
    let log = log(&mut agent);
    assert_eq!(status.code(), Some(137), "{log}");
    assert!(
        log.contains("Envoy was ended by signal 9 (SIGKILL)"),
        "{log}"
    );
}

#[tokio::test]
async fn a_killed_agent_leaves_no_envoy() {
    let world = World::of(&[]).await;
    let mut agent = ready(&world, &[]).await;
    let envoy = agent.envoy_id().unwrap();
    signal(agent.process().id(), "KILL");
    gone(envoy).await;
    assert_eq!(ended(agent.process()).await.code(), None);
}

/// An agent that is ready.
async fn ready(world: &World, flags: &[(&str, &str)]) -> Agent {
    let mut options = options(world.discovery.addresses().grpc, world.dir()).await;
    for (flag, value) in flags {
        options = options.arg(flag, *value);
    }
    Agent::start(&options).await.unwrap()
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
    async fn start(flags: &[(&str, &str)]) -> Self {
        let via = free_address().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let entry = ServiceEntry::http("slow", "slow.test", via.port()).endpoint(at);
        let world = World::of(&[&entry]).await;
        let agent = ready(&world, flags).await;
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

    /// Waits until the agent has ended, with this code and these words.
    async fn ends(&mut self, code: i32, said: &str) {
        let status = ended(self.agent.process()).await;
        let log = log(&mut self.agent);
        assert_eq!(status.code(), Some(code), "{log}");
        assert!(log.contains(said), "{log}");
    }

    async fn answer(&mut self) -> Result<Answer> {
        self.answers.join_next().await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn what_is_under_way_ends_before_envoy_does() {
    let mut scene = UnderWay::start(&[("--log_output_level", "default:debug")]).await;
    let envoy = scene.agent.envoy_id().unwrap();
    signal(scene.agent.process().id(), "TERM");
    logs(&mut scene.agent, "Envoy drains").await;
    says_why_not(&mut scene.agent, "drained").await;
    logs(&mut scene.agent, "connections are left").await;
    scene
        .backend
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")
        .await
        .unwrap();
    let answer = scene.answer().await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "done"));
    scene.ends(0, "no connection is left").await;
    gone(envoy).await;
}

#[tokio::test]
async fn what_never_ends_is_waited_for_so_long_and_no_longer() {
    let mut scene = UnderWay::start(&[("--terminationDrainDuration", "1s")]).await;
    signal(scene.agent.process().id(), "TERM");
    scene.ends(0, "for as long as is allowed").await;
    assert!(scene.answer().await.is_err());
}

#[tokio::test]
async fn a_second_signal_ends_everything_at_once() {
    let mut scene = UnderWay::start(&[]).await;
    let envoy = scene.agent.envoy_id().unwrap();
    signal(scene.agent.process().id(), "TERM");
    logs(&mut scene.agent, "Envoy drains").await;
    signal(scene.agent.process().id(), "INT");
    scene.ends(1, "SIGINT").await;
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
    let options = scripted(free_address().unwrap(), dir.path(), script).await;
    let agent = options.command();
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(agent.get_program())
        .args(agent.get_args())
        .envs(
            agent
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    let mut process = Process::spawn("unshare", &mut command, &dir.path().join("log")).unwrap();
    let status = ended(&mut process).await;
    let log = process.log_text().unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    let first = log.lines().find(|line| line.starts_with("first process:"));
    assert!(first.unwrap().contains("pilot-agent proxy"), "{log}");
}
