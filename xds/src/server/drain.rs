//! Going without a stampede: connections are asked to leave one after another, spread over the grace period, so that their
//! proxies do not all reach the next replica at once.

use std::time::Duration;

use tokio::time::Instant;

use super::connections::Connections;

/// The part of the grace period over which connections are asked; the rest is for the last ones to end in.
const ASKING: f64 = 0.8;

/// Asks every connection to leave in its turn. Returns at the latest after `grace`, when those that are left have been closed;
/// the caller waits for them, and may drop this as soon as there are none.
pub(crate) async fn drain(connections: &Connections, grace: Duration) {
    let start = Instant::now();
    let leaving = connections.drain();
    tracing::info!(target: "ads", connections = leaving.len(), ?grace, "draining");
    for (place, connection) in leaving.iter().enumerate() {
        tokio::time::sleep_until(start + turn(place, leaving.len(), grace)).await;
        connection.leave("this server is shutting down; connect to another");
    }
    tokio::time::sleep_until(start + grace).await;
    if !connections.is_empty() {
        tracing::warn!(target: "ads", connections = connections.len(), "closing what has not left in time");
    }
    connections.close_all();
}

/// When the connection at `place` of `count` has its turn.
fn turn(place: usize, count: usize, grace: Duration) -> Duration {
    grace.mul_f64(ASKING * place as f64 / count.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spread_evenly() {
        let turns: Vec<_> = (0..4)
            .map(|place| turn(place, 4, Duration::from_secs(10)).as_millis())
            .collect();
        assert_eq!(turns, [0, 2_000, 4_000, 6_000]);
    }
}
