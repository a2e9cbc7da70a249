//! Where API servers are found, and what is sent to them.

use std::fs;

use tempfile::TempDir;

use super::*;

fn kubeconfig(server: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: one\n\
         clusters:\n- {{name: one, cluster: {{server: '{server}'}}}}\n- {{name: two, cluster: {{server: 'http://two.example:1'}}}}\n\
         contexts:\n- {{name: one, context: {{cluster: one, user: me}}}}\n- {{name: two, context: {{cluster: two, user: me}}}}\n\
         users:\n- {{name: me, user: {{token: secret}}}}\n"
    )
}

struct World {
    dir: TempDir,
    access: Access,
    around: Surroundings,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let around = Surroundings {
            kubeconfig: None,
            home: Some(dir.path().join("home")),
            token: dir.path().join("token"),
        };
        Self {
            dir,
            access: Access::default(),
            around,
        }
    }

    fn write(&self, name: &str, server: &str) -> PathBuf {
        let file = self.dir.path().join(name);
        fs::write(&file, kubeconfig(server)).unwrap();
        file
    }

    async fn server(&self) -> Result<String, String> {
        let found = self.access.find(&self.around).await;
        found
            .map(|(config, _)| config.cluster_url.to_string())
            .map_err(|error| {
                error
                    .to_string()
                    .replace(&self.dir.path().display().to_string(), "DIR")
            })
    }
}

#[tokio::test]
async fn the_flag_comes_before_the_variable_and_that_before_the_home() {
    let mut world = World::new();
    world.write("home", "http://home.example:1");
    assert_eq!(world.server().await.unwrap(), "http://home.example:1/");
    let first = world.write("first", "http://first.example:1");
    let second = world.write("second", "http://second.example:1");
    let list = std::env::join_paths([first, second.clone()]).unwrap();
    world.around.kubeconfig = Some(list.into());
    assert_eq!(world.server().await.unwrap(), "http://first.example:1/");
    world.access.kubeconfig = Some(second);
    assert_eq!(world.server().await.unwrap(), "http://second.example:1/");
    world.access.context = Some("two".into());
    assert_eq!(world.server().await.unwrap(), "http://two.example:1/");
}

#[tokio::test]
async fn what_was_tried_is_told() {
    let mut world = World::new();
    assert_eq!(
        world.server().await.unwrap_err(),
        "no Kubernetes API server is known: neither --kubeconfig nor KUBECONFIG is given, DIR/home does not exist, \
         DIR/token is not mounted; give --kubeconfig, or run in a pod with a service account"
    );
    world.access.context = Some("two".into());
    let problem = world.server().await.unwrap_err();
    assert!(
        problem.contains("--context needs a kubeconfig"),
        "{problem}"
    );
    let file = world.write("file", "http://one.example:1");
    world.access.kubeconfig = Some(file);
    world.access.context = Some("three".into());
    let problem = world.server().await.unwrap_err();
    assert!(problem.starts_with("--kubeconfig DIR/file: "), "{problem}");
    assert!(problem.contains("three"), "{problem}");
    world.access.kubeconfig = Some("/nowhere".into());
    let problem = world.server().await.unwrap_err();
    assert!(problem.starts_with("--kubeconfig /nowhere: "), "{problem}");
}

/// The head of a request as an API server gets it.
#[tokio::test]
async fn requests_say_who_asks() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let access = Access {
        user_agent: "pilot-discovery/1.2".into(),
        ..Access::default()
    };
    let text = kubeconfig(&server);
    let client = access.client_of_text(&text, "a secret").await.unwrap();
    let asking = client.list_core_api_versions();
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let length = stream.read(&mut head).await.unwrap();
        let body = "{\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":[]}";
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        (
            String::from_utf8_lossy(&head[..length]).to_lowercase(),
            stream,
        )
    };
    let (versions, (head, _open)) = tokio::join!(asking, answering);
    assert_eq!(versions.unwrap().versions, ["v1"]);
    assert!(
        head.contains("user-agent: pilot-discovery/1.2\r\n"),
        "{head}"
    );
    assert!(head.contains("authorization: bearer secret\r\n"), "{head}");
}

/// Nothing is tried again behind the caller's back.
#[tokio::test]
async fn a_refusal_is_answered_once() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let text = kubeconfig(&server);
    let client = Access::default()
        .client_of_text(&text, "a secret")
        .await
        .unwrap();
    let answering = async {
        let mut requests = 0;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            if stream.read(&mut head).await.unwrap() > 0 {
                requests += 1;
            }
            let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
            if requests > 1 {
                return requests;
            }
        }
    };
    tokio::select! {
        answer = client.list_core_api_versions() => assert!(answer.is_err()),
        requests = answering => panic!("{requests} requests"),
    }
}
