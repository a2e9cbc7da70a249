//! A token bucket before the API server: what a client may ask for long, and at once.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use tower::{Layer, Service};

/// Makes [`Pace`]s of one rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct PaceLayer {
    /// The time in which a token comes; `None`: there is no limit.
    per_token: Option<Duration>,
    /// How many may wait.
    burst: u32,
}

impl PaceLayer {
    /// `qps` requests in a second, and `burst` at once after a pause.
    pub(super) fn new(qps: f64, burst: u32) -> Self {
        let per_token = Duration::try_from_secs_f64(1.0 / qps).ok();
        Self {
            per_token: per_token.filter(|time| !time.is_zero()),
            burst: burst.max(1),
        }
    }
}

impl<S> Layer<S> for PaceLayer {
    type Service = Pace<S>;

    fn layer(&self, inner: S) -> Pace<S> {
        Pace {
            inner,
            layer: *self,
            full_at: Instant::now(),
            waiting: None,
        }
    }
}

/// Lets requests pass at a pace. A request counts when it is made, however long its answer lasts.
#[derive(Debug)]
pub(super) struct Pace<S> {
    inner: S,
    layer: PaceLayer,
    /// When the bucket will be full again: it misses as many tokens as come until then.
    full_at: Instant,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Pace<S> {
    /// When there will be a token; a time that has passed if there is one.
    fn next(&self, per_token: Duration) -> Instant {
        let others = per_token.saturating_mul(self.layer.burst - 1);
        self.full_at.checked_sub(others).unwrap_or(self.full_at)
    }
}

impl<S: Service<R>, R> Service<R> for Pace<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if let Some(per_token) = self.layer.per_token {
            let next = self.next(per_token);
            if self.waiting.is_none() && next > Instant::now() {
                self.waiting = Some(Box::pin(sleep_until(next)));
            }
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
            }
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        if let Some(per_token) = self.layer.per_token {
            self.full_at = self.full_at.max(Instant::now()) + per_token;
        }
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Ready;

    use tower::{ServiceExt, service_fn};

    use super::*;

    fn echo(layer: PaceLayer) -> impl Service<u32, Response = u32, Error = ()> {
        layer.layer(service_fn(|n: u32| -> Ready<Result<u32, ()>> {
            std::future::ready(Ok(n))
        }))
    }

    /// When `count` requests have been let through, in milliseconds from the first.
    async fn times(service: &mut (impl Service<u32, Error = ()> + Unpin), count: u32) -> Vec<u128> {
        let begin = Instant::now();
        let mut times = Vec::new();
        for n in 0..count {
            service.ready().await.unwrap().call(n).await.unwrap();
            times.push(begin.elapsed().as_millis());
        }
        times
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_the_rest_at_a_pace() {
        let mut service = echo(PaceLayer::new(10.0, 3));
        assert_eq!(times(&mut service, 5).await, [0, 0, 0, 100, 200]);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(times(&mut service, 4).await, [0, 0, 100, 200]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_pause_saves_no_more_than_a_burst() {
        let mut service = echo(PaceLayer::new(10.0, 2));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(times(&mut service, 4).await, [0, 0, 100, 200]);
    }

    #[tokio::test(start_paused = true)]
    async fn no_rate_is_no_limit() {
        for qps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let mut service = echo(PaceLayer::new(qps, 0));
            assert_eq!(times(&mut service, 3).await, [0, 0, 0], "{qps}");
        }
    }
}
