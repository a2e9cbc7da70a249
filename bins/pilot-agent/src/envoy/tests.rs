//! A shell script in the role of Envoy: its flag `-c` is the shell's, so the path of the bootstrap is a script here.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

const SOON: Duration = Duration::from_secs(10);
const NEVER: Duration = Duration::from_secs(3600);

/// Says that it is up, and does as it is told with SIGTERM.
const OBEDIENT: &str = "trap 'exit 5' TERM; : > UP; while :; do sleep 0.01; done";

struct Scripted {
    dir: TempDir,
    envoy: Envoy,
}

impl Scripted {
    async fn start(script: &str, kill_after: Duration) -> Self {
        let dir = TempDir::new().unwrap();
        let up = dir.path().join("up");
        let settings = Settings {
            binary: "/bin/sh".into(),
            arguments: Arguments::new(script.replace("UP", &up.display().to_string())),
            through: Through::Nobody,
            kill_after,
        };
        let envoy = Envoy::start(&settings).unwrap();
        if script.contains("UP") {
            until(|| up.exists()).await;
        }
        Self { dir, envoy }
    }

    /// Runs it with this control, asked to stop from the start.
    async fn stopped(self, control: &Control) -> ExitReason {
        let stop = CancellationToken::new();
        stop.cancel();
        self.run(control, stop).await
    }

    async fn run(self, control: &Control, stop: CancellationToken) -> ExitReason {
        let Self { dir, envoy } = self;
        let reason = timeout(SOON, envoy.run(control.clone(), stop)).await;
        drop(dir);
        reason.unwrap().unwrap()
    }
}

async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, wait).await.unwrap();
}

/// An admin page: what it was asked, and how many connections it tells of.
#[derive(Clone, Default)]
struct Admin {
    asked: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<u64>>,
}

impl Admin {
    async fn serve(&self, tasks: &mut JoinSet<()>) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let router = Router::new().fallback(page).with_state(self.clone());
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        at
    }

    fn drains(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|line| line.starts_with("POST"))
            .cloned()
            .collect()
    }
}

async fn page(State(admin): State<Admin>, request: Request) -> String {
    let line = format!("{} {}", request.method(), request.uri());
    admin.asked.lock().unwrap().push(line);
    format!(
        "listener.0.0.0.0_15006.downstream_cx_active: {}\nlistener.0.0.0.0_15021.downstream_cx_active: 7\n",
        admin.connections.lock().unwrap()
    )
}

fn drain(at_least: Duration, at_most: Duration) -> Drain {
    Drain {
        scope: DrainScope::Inbound,
        at_least,
        at_most,
        uncounted_ports: vec![15021],
    }
}

/// A control of an Envoy that serves no admin page.
fn uncontrolled() -> Control {
    Control::new(([127, 0, 0, 1], 1).into(), drain(NEVER, NEVER))
}

#[tokio::test]
async fn how_it_ended_is_not_lost() {
    for (script, code) in [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)] {
        let envoy = Scripted::start(script, NEVER).await;
        let reason = envoy.run(&uncontrolled(), CancellationToken::new()).await;
        assert_eq!((reason.code(), reason.asked), (code, false), "{script}");
    }
}

#[tokio::test]
async fn it_ends_when_no_connection_is_left() {
    let (mut tasks, admin) = (JoinSet::new(), Admin::default());
    *admin.connections.lock().unwrap() = 2;
    let control = Control::new(
        admin.serve(&mut tasks).await,
        drain(Duration::from_millis(10), NEVER),
    );
    let envoy = Scripted::start(OBEDIENT, NEVER).await;
    let counted = async {
        // It is asked again while some are left.
        until(|| admin.asked.lock().unwrap().len() >= 3).await;
        *admin.connections.lock().unwrap() = 0;
    };
    let (reason, ()) = tokio::join!(envoy.stopped(&control), counted);
    assert_eq!((reason.code(), reason.asked), (5, true));
    assert_eq!(
        admin.drains(),
        ["POST /drain_listeners?inboundonly&graceful"]
    );
    assert!(control.is_leaving());
}

#[tokio::test]
async fn waiting_for_connections_is_bounded() {
    let (mut tasks, admin) = (JoinSet::new(), Admin::default());
    *admin.connections.lock().unwrap() = 2;
    let settings = Drain {
        scope: DrainScope::All,
        ..drain(Duration::ZERO, Duration::from_millis(300))
    };
    let control = Control::new(admin.serve(&mut tasks).await, settings);
    let began = Instant::now();
    let reason = Scripted::start(OBEDIENT, NEVER)
        .await
        .stopped(&control)
        .await;
    assert_eq!((reason.code(), reason.asked), (5, true));
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(admin.drains(), ["POST /drain_listeners?graceful"]);
}

#[tokio::test]
async fn draining_twice_is_draining_once() {
    let (mut tasks, admin) = (JoinSet::new(), Admin::default());
    let control = Control::new(
        admin.serve(&mut tasks).await,
        drain(Duration::from_millis(100), NEVER),
    );
    let began = control.drain().await.unwrap();
    assert!(control.is_leaving());
    let reason = Scripted::start(OBEDIENT, NEVER)
        .await
        .stopped(&control)
        .await;
    assert!(reason.asked);
    assert_eq!(control.drain().await.unwrap(), began);
    assert_eq!(admin.drains().len(), 1);
}

#[tokio::test]
async fn nothing_is_waited_for_where_nothing_serves() {
    let reason = Scripted::start(OBEDIENT, NEVER)
        .await
        .stopped(&uncontrolled())
        .await;
    assert_eq!((reason.code(), reason.asked), (5, true));
}

#[tokio::test]
async fn quitting_skips_the_drain() {
    let (mut tasks, admin) = (JoinSet::new(), Admin::default());
    let at = admin.serve(&mut tasks).await;
    // While it runs, and while it drains.
    let control = Control::new(at, drain(NEVER, NEVER));
    control.quit();
    let envoy = Scripted::start(OBEDIENT, NEVER).await;
    let reason = envoy.run(&control, CancellationToken::new()).await;
    assert_eq!((reason.code(), admin.drains().len()), (5, 0));

    let control = Control::new(at, drain(NEVER, NEVER));
    let quit = async {
        until(|| !admin.drains().is_empty()).await;
        control.quit();
    };
    let envoy = Scripted::start(OBEDIENT, NEVER).await;
    let (reason, ()) = tokio::join!(envoy.stopped(&control), quit);
    assert_eq!((reason.code(), reason.asked), (5, true));
}

#[tokio::test]
async fn an_end_during_the_drain_was_not_asked_for() {
    let (mut tasks, admin) = (JoinSet::new(), Admin::default());
    let control = Control::new(admin.serve(&mut tasks).await, drain(NEVER, NEVER));
    let envoy = Scripted::start(OBEDIENT, NEVER).await;
    let id = envoy.envoy.id();
    let crash = async {
        until(|| !admin.drains().is_empty()).await;
        let id = rustix::process::Pid::from_raw(id.cast_signed()).unwrap();
        rustix::process::kill_process(id, Signal::KILL).unwrap();
    };
    let (reason, ()) = tokio::join!(envoy.stopped(&control), crash);
    assert_eq!((reason.code(), reason.asked), (137, false));
}

#[tokio::test]
async fn who_does_not_heed_sigterm_is_killed() {
    let deaf = "trap '' TERM; : > UP; while :; do sleep 0.01; done";
    let envoy = Scripted::start(deaf, Duration::from_millis(50)).await;
    let reason = envoy.stopped(&uncontrolled()).await;
    assert_eq!((reason.code(), reason.asked), (137, true));
}

#[tokio::test]
async fn dropping_it_ends_it_and_leaves_no_zombie() {
    let scripted = Scripted::start(OBEDIENT, NEVER).await;
    let entry = format!("/proc/{}", scripted.envoy.id());
    assert!(Path::new(&entry).exists());
    drop(scripted);
    until(|| !Path::new(&entry).exists()).await;
}

#[test]
fn a_binary_that_is_not_there_is_named() {
    let settings = Settings {
        binary: "/nowhere/envoy".into(),
        arguments: Arguments::new("e.json"),
        through: Through::Nobody,
        kill_after: NEVER,
    };
    for through in [Through::Nobody, Through::Exec] {
        let error = Envoy::start(&Settings {
            through,
            ..settings.clone()
        })
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no Envoy at /nowhere/envoy; say where it is with --binary-path"
        );
    }
}
