//! Ten thousand services.

use std::fs;
use std::time::SystemTime;

use pilothouse_static::read;
use tokio::time::Instant;

use crate::world::World;

fn entry(i: usize) -> String {
    let net = format!("10.{}.{}", i / 250, i % 250);
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: svc-{i}\n  namespace: shop\n  labels:\n    app: svc-{i}\nspec:\n  hosts:\n  - svc-{i}.example.com\n  ports:\n  - number: 80\n    name: http\n    protocol: HTTP\n  location: MESH_INTERNAL\n  resolution: STATIC\n  endpoints:\n  - address: {net}.1\n    labels:\n      version: v1\n  - address: {net}.2\n"
    )
}

#[test]
#[ignore = "measures; run it with --release --ignored --nocapture"]
fn ten_thousand_are_read_in_seconds() {
    let all: Vec<_> = (0..10_000).map(entry).collect();
    let item = |text: &String| format!("- {}", text.trim_end().replace('\n', "\n  "));
    let list = all.iter().map(item).collect::<Vec<_>>().join("\n");
    let layouts: [(&str, Vec<(String, String)>); 3] = [
        (
            "10,000 files",
            all.iter()
                .enumerate()
                .map(|(i, text)| (format!("{i}.yaml"), text.clone()))
                .collect(),
        ),
        (
            "one file of 10,000 documents",
            vec![("all.yaml".to_owned(), all.join("---\n"))],
        ),
        (
            "one List",
            vec![(
                "list.yaml".to_owned(),
                format!("apiVersion: v1\nkind: List\nitems:\n{list}\n"),
            )],
        ),
    ];
    for (what, files) in layouts {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let start = SystemTime::now();
        let (objects, findings) = read(dir.path()).unwrap();
        println!("{what}: {:?}", start.elapsed().unwrap());
        assert_eq!((objects.len(), findings.len()), (10_000, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; run it with --release --ignored --nocapture"]
async fn one_edit_among_ten_thousand_files() {
    let mut world = World::start(&[]).await;
    let all: Vec<_> = (0..10_000).map(|i| format!("svc-{i}")).collect();
    let start = Instant::now();
    for name in &all {
        world.write(&format!("{name}.yaml"), &[name.as_str()]);
    }
    let written = start.elapsed();
    let names: Vec<_> = all.iter().map(String::as_str).collect();
    world.until(&names).await;
    println!(
        "10,000 files written in {written:?}, in the mesh after {:?}",
        start.elapsed()
    );

    let mut times = Vec::new();
    for round in 0..15 {
        let start = Instant::now();
        world.write("svc-7.yaml", &["svc-7", &format!("edit-{round}")]);
        world.changed().await;
        times.push(start.elapsed());
    }
    times.sort();
    println!("one edit: median {:?}, longest {:?}", times[7], times[14]);
}
