//! Looks at real files, in paused time.

use tokio::time::advance;

use super::*;

/// A directory, and what is known of it. Time stands still unless it is moved.
struct Fixture {
    dir: tempfile::TempDir,
    files: Files,
}

fn names() -> Names {
    Names::new("cluster.local")
}

fn fixture(files: &[(&str, &[&str])]) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    let fixture = Fixture {
        files: Files::new(&root, names(), []),
        dir,
    };
    files
        .iter()
        .for_each(|(name, services)| fixture.write(name, services));
    fixture
}

impl Fixture {
    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn write(&self, name: &str, services: &[&str]) {
        let entry = |name: &&str| {
            format!(
                "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}}}\nspec: {{hosts: [{name}.example.com]}}\n"
            )
        };
        fs::write(
            self.root().join(name),
            services.iter().map(entry).collect::<Vec<_>>().join("---\n"),
        )
        .unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.root().join(name)).unwrap();
    }

    fn rescan(&mut self) -> Outcome {
        self.look(Batch {
            rescan: true,
            ..Batch::default()
        })
    }

    fn changed(&mut self, names: &[&str]) -> Outcome {
        let root = self.root().canonicalize().unwrap();
        self.look(Batch {
            paths: names.iter().map(|name| root.join(name)).collect(),
            ..Batch::default()
        })
    }

    fn look(&mut self, batch: Batch) -> Outcome {
        self.files
            .look(batch, &mut None, &CancellationToken::new())
            .unwrap()
    }
}

/// The outcome as lines: what each set consists of, what fails, and what else is special.
fn lines(outcome: &Outcome) -> Vec<String> {
    let names = |said: &Statement| {
        said.objects
            .iter()
            .map(|object| &*object.meta.key.name)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut lines: Vec<_> = outcome
        .statements
        .iter()
        .map(|(set, said)| format!("{set}: {}", names(said)))
        .collect();
    lines.extend(outcome.failing.keys().map(|set| format!("failing {set}")));
    lines.extend(outcome.root.iter().map(|_| "root failing".to_owned()));
    lines.extend(outcome.doubtful.iter().map(|_| "doubtful".to_owned()));
    lines.extend(outcome.complete.then(|| "complete".to_owned()));
    lines
}

fn check(outcome: &Outcome, expected: &[&str]) {
    assert_eq!(lines(outcome), expected, "{outcome:#?}");
}

async fn after(time: Duration) {
    advance(time).await;
}

#[tokio::test(start_paused = true)]
async fn only_what_changed_is_stated() {
    let mut it = fixture(&[("a.yaml", &["a1", "a2"]), ("b.yaml", &["b"])]);
    check(&it.rescan(), &["a.yaml: a1 a2", "b.yaml: b", "complete"]);
    check(&it.rescan(), &["complete"]);
    it.write("a.yaml", &["a1"]);
    check(
        &it.changed(&["a.yaml", "b.yaml", "readme.md"]),
        &["a.yaml: a1"],
    );
    it.write("c.yaml", &["c"]);
    check(&it.changed(&["c.yaml"]), &["c.yaml: c"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_vanishes_is_given_a_moment_to_come_back() {
    let mut it = fixture(&[("a.yaml", &["a"]), ("b.yaml", &["b"])]);
    it.rescan();
    it.remove("a.yaml");
    let outcome = it.changed(&["a.yaml"]);
    check(&outcome, &[]);
    assert!(outcome.look_again.contains_key("a.yaml"));
    it.write("a.yaml", &["a"]);
    check(&it.changed(&["a.yaml"]), &[]);

    it.write("a.yaml", &[]);
    check(&it.changed(&["a.yaml"]), &[]);
    it.remove("a.yaml");
    after(GRACE).await;
    check(&it.changed(&["a.yaml"]), &["a.yaml: "]);
    check(&it.changed(&["a.yaml"]), &[]);
}

#[tokio::test(start_paused = true)]
async fn what_moves_is_stated_in_one_go() {
    let mut it = fixture(&[("a.yaml", &["a"]), ("b.yaml", &["b"])]);
    it.rescan();
    fs::rename(it.root().join("a.yaml"), it.root().join("c.yaml")).unwrap();
    check(
        &it.changed(&["a.yaml", "c.yaml"]),
        &["a.yaml: ", "c.yaml: a"],
    );
    it.write("c.yaml", &["x"]);
    it.write("b.yaml", &["b", "a"]);
    check(
        &it.changed(&["b.yaml", "c.yaml"]),
        &["b.yaml: b a", "c.yaml: x"],
    );
}

#[tokio::test(start_paused = true)]
async fn from_a_root_that_vanishes_nothing_follows() {
    let mut it = fixture(&[("a.yaml", &["a"])]);
    it.rescan();
    fs::rename(it.root(), it.dir.path().join("away")).unwrap();
    check(&it.rescan(), &["root failing"]);
    it.look(Batch {
        files: ["a.yaml".to_owned()].into(),
        ..Batch::default()
    });
    after(GRACE).await;
    let outcome = it.look(Batch {
        files: ["a.yaml".to_owned()].into(),
        ..Batch::default()
    });
    check(&outcome, &[]);
    assert!(outcome.rescan_at.is_some());
    fs::write(it.root(), "a file").unwrap();
    check(&it.rescan(), &["root failing"]);
    fs::remove_file(it.root()).unwrap();
    fs::rename(it.dir.path().join("away"), it.root()).unwrap();
    check(&it.rescan(), &["complete"]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_root_is_doubted() {
    let mut it = fixture(&[("a.yaml", &["a"]), ("b.yaml", &["b"])]);
    it.rescan();
    it.remove("a.yaml");
    it.remove("b.yaml");
    check(&it.rescan(), &["complete"]);
    after(GRACE).await;
    check(
        &it.rescan(),
        &["a.yaml: ", "b.yaml: ", "doubtful", "complete"],
    );
    check(&it.rescan(), &["complete"]);
}

#[tokio::test(start_paused = true)]
async fn a_further_run_looks_for_what_an_earlier_one_stated() {
    let mut it = fixture(&[("a.yaml", &["a"]), ("b.yaml", &["b"])]);
    let stated = ["b.yaml", "c.yaml"].map(str::to_owned);
    it.files = Files::new(&it.root(), names(), stated.clone());
    check(
        &it.rescan(),
        &["a.yaml: a", "b.yaml: b", "c.yaml: ", "complete"],
    );
    it.remove("a.yaml");
    it.remove("b.yaml");
    it.files = Files::new(&it.root(), names(), stated);
    check(
        &it.rescan(),
        &["b.yaml: ", "c.yaml: ", "doubtful", "complete"],
    );
}

#[tokio::test(start_paused = true)]
async fn without_events_everything_is_looked_at_again_and_again() {
    let mut it = fixture(&[("a.yaml", &["a"])]);
    let (mut watches, _signals) = Watches::new();
    watches.refused(&notify::Error::generic("no events here"));
    let batch = Batch {
        rescan: true,
        ..Batch::default()
    };
    let outcome = it
        .files
        .look(batch, &mut Some(watches), &CancellationToken::new())
        .unwrap();
    assert_eq!(outcome.rescan_at, Some(Instant::now() + POLL));
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_stays_as_it_was() {
    let mut it = fixture(&[("a.yaml", &["a"]), ("b.yaml", &["b"])]);
    it.rescan();
    it.remove("a.yaml");
    std::os::unix::fs::symlink("nowhere", it.root().join("a.yaml")).unwrap();
    check(&it.changed(&["a.yaml"]), &["failing a.yaml"]);
    it.remove("a.yaml");
    it.write("a.yaml", &["a"]);
    check(&it.changed(&["a.yaml"]), &["a.yaml: a"]);
    fs::write(it.root().join("b.yaml"), b"\xff").unwrap();
    check(&it.changed(&["b.yaml"]), &["failing b.yaml"]);
}
