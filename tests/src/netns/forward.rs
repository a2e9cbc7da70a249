//! Connections from one network namespace to another, byte by byte: nothing else leads out of a test's machines.

use std::future::Future;

use anyhow::Result;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Takes connections and carries each to one of its own; dropping it ends them.
#[derive(Debug)]
pub struct Forward {
    _tasks: JoinSet<()>,
}

impl Forward {
    /// Carries what comes to `listener` to what `connect` opens.
    pub fn start<F>(listener: TcpListener, connect: impl Fn() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<TcpStream>> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut from, _)) = listener.accept().await {
                let to = connect();
                connections.spawn(async move {
                    // Who is not there, or breaks off, is seen by whoever asked.
                    if let Ok(mut to) = to.await {
                        copy_bidirectional(&mut from, &mut to).await.ok();
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { _tasks: tasks }
    }
}
