//! The server.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::args::Args;
use crate::upstream;

/// Serves until `stop`, then lets the requests finish that are under way.
pub(crate) async fn serve(listener: TcpListener, args: Arc<Args>, stop: impl Future<Output = ()>) {
    let (graceful, mut connections) = (GracefulShutdown::new(), JoinSet::new());
    tokio::pin!(stop);
    loop {
        let stream = tokio::select! {
            // Stopping comes first: a connection that is not accepted is taken elsewhere by its client.
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // The client has gone already.
                Err(_) => continue,
            },
        };
        let args = Arc::clone(&args);
        let service = service_fn(move |_: Request<Incoming>| answer(Arc::clone(&args)));
        let connection =
            graceful.watch(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        connections.spawn(async {
            // A client that breaks off is its own affair.
            connection.await.ok();
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    graceful.shutdown().await;
    while connections.join_next().await.is_some() {}
}

/// The service's own line, and below it those of the services that it calls.
async fn answer(args: Arc<Args>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (mut text, mut status) = (format!("{} {}\n", args.name, args.version), StatusCode::OK);
    for url in &args.upstreams {
        let called = match upstream::call(url, args.sidecar).await {
            Ok(called) => called,
            Err(error) => {
                status = StatusCode::BAD_GATEWAY;
                format!("{error:#}\n")
            }
        };
        for line in called.lines() {
            text.push_str(&format!("  {line}\n"));
        }
    }
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    async fn start(tasks: &mut JoinSet<()>, name: &str, upstreams: &[&str]) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let listen: SocketAddr = listener.local_addr().unwrap();
        let upstreams = upstreams.iter().map(|url| url.parse().unwrap()).collect();
        let args = Args {
            name: name.to_owned(),
            version: "v1".to_owned(),
            listen,
            sidecar: None,
            upstreams,
        };
        tasks.spawn(serve(listener, Arc::new(args), std::future::pending()));
        format!("http://{listen}/")
    }

    #[tokio::test]
    async fn an_answer_shows_the_whole_chain() {
        let mut tasks = JoinSet::new();
        let ratings = start(&mut tasks, "ratings", &[]).await;
        let reviews = start(&mut tasks, "reviews", &[&ratings]).await;
        let page = start(&mut tasks, "page", &[&reviews, &ratings]).await;
        let answer = upstream::call(&page.parse().unwrap(), None).await.unwrap();
        assert_eq!(
            answer,
            "page v1\n  reviews v1\n    ratings v1\n  ratings v1\n"
        );
    }

    #[tokio::test]
    async fn a_failure_below_fails_the_answer() {
        let mut tasks = JoinSet::new();
        let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let page = start(&mut tasks, "page", &[&format!("http://{closed}/")]).await;
        let error = format!(
            "{:#}",
            upstream::call(&page.parse().unwrap(), None)
                .await
                .unwrap_err()
        );
        assert!(
            error.contains("502") && error.contains(&closed.to_string()),
            "{error}"
        );
    }

    #[tokio::test]
    async fn stopping_waits_for_requests_and_accepts_no_more() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let listen = listener.local_addr().unwrap();
        let args = Args {
            name: "a".to_owned(),
            version: "v1".to_owned(),
            listen,
            sidecar: None,
            upstreams: Vec::new(),
        };
        serve(listener, Arc::new(args), async {}).await;
        assert!(tokio::net::TcpStream::connect(listen).await.is_err());
    }
}
