//! How long ten thousand services take to be read, as files, as documents and as one list.

use std::fs;

use pilothouse_static::{File, Names, read};
use tokio::time::Instant;

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn main() {
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
    let names = Names::new("cluster.local");
    for (what, files) in layouts {
        let dir = tempfile::tempdir().expect("a temporary directory can be written and read");
        for (name, text) in files {
            fs::write(dir.path().join(name), text)
                .expect("a temporary directory can be written and read");
        }
        let start = Instant::now();
        let files =
            read(dir.path(), &names).expect("a temporary directory can be written and read");
        println!("{what}: {:?}", start.elapsed());
        let sum = |count: fn(&File) -> usize| files.iter().map(count).sum::<usize>();
        let found = sum(|file| file.findings.len() + file.checked.len());
        assert_eq!((sum(|file| file.objects.len()), found), (10_000, 0));
    }
}

fn entry(i: usize) -> String {
    let net = format!("10.{}.{}", i / 250, i % 250);
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: svc-{i}\n  namespace: shop\n  labels:\n    app: svc-{i}\nspec:\n  hosts:\n  - svc-{i}.example.com\n  ports:\n  - number: 80\n    name: http\n    protocol: HTTP\n  location: MESH_INTERNAL\n  resolution: STATIC\n  endpoints:\n  - address: {net}.1\n    labels:\n      version: v1\n  - address: {net}.2\n"
    )
}
