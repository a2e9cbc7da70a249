//! What happens to files that people and programs edit, break, cut and take away.

use std::fs;
use std::io::Write;
use std::time::Duration;

use pilothouse_core::store::GuardSettings;

use crate::world::{World, entries};

#[tokio::test]
async fn files_come_change_and_go() {
    let mut world = World::start(&[
        ("a.yaml", &["a"]),
        ("shop/b.yml", &["b1", "b2"]),
        ("c.json", &[]),
    ])
    .await;
    world.until(&["a", "b1", "b2"]).await;
    world.write("shop/b.yml", &["b2", "b3"]);
    world.until(&["a", "b2", "b3"]).await;
    world.write("new/deep/d.yaml", &["d"]);
    world.until(&["a", "b2", "b3", "d"]).await;
    world.write("new/deep/e.yaml", &["e"]);
    world.until(&["a", "b2", "b3", "d", "e"]).await;
    world.remove("a.yaml");
    world.until(&["b2", "b3", "d", "e"]).await;
    fs::remove_dir_all(world.path("new")).unwrap();
    world.until(&["b2", "b3"]).await;
}

#[tokio::test]
async fn a_file_that_is_renamed_over_is_read() {
    let mut world = World::start(&[("a.yaml", &["a"])]).await;
    world.until(&["a"]).await;
    world.write(".a.yaml.tmp", &["b"]);
    fs::rename(world.path(".a.yaml.tmp"), world.path("a.yaml")).unwrap();
    world.until(&["b"]).await;
    fs::rename(world.path("a.yaml"), world.path("z.yaml")).unwrap();
    world.write("other.yaml", &["other"]);
    world.until(&["b", "other"]).await;
    world.never_seen(&[&["other"]]);
}

#[tokio::test]
async fn nobody_sees_half_of_a_file_that_is_being_written() {
    let mut world = World::start(&[("a.yaml", &["a", "b"])]).await;
    world.until(&["a", "b"]).await;
    let text = entries(&["a", "b", "c"]);
    let (first, second) = text.split_at(entries(&["a"]).len());
    let mut file = fs::File::create(world.path("a.yaml")).unwrap();
    file.write_all(first.as_bytes()).unwrap();
    file.flush().unwrap();
    // The other file overtakes the one that is not closed.
    world.write("other.yaml", &["other"]);
    world.until(&["a", "b", "other"]).await;
    file.write_all(second.as_bytes()).unwrap();
    drop(file);
    world.until(&["a", "b", "c", "other"]).await;
    world.never_seen(&[&["a"], &["a", "other"], &["other"], &[]]);
}

#[tokio::test]
async fn what_does_not_parse_keeps_its_last_good_version() {
    let mut world = World::start(&[("a.yaml", &["a", "b", "c"])]).await;
    world.until(&["a", "b", "c"]).await;
    // b does not parse, c has a wrong field, and d is new.
    let broken = [
        entries(&["a"]),
        entries(&["b"]).replace("hosts: [", "hosts: [["),
        entries(&["c"]).replace("number: 80", "number: eighty"),
        entries(&["d"]),
    ];
    fs::write(world.path("a.yaml"), broken.join("---\n")).unwrap();
    world.until(&["a", "b", "c", "d"]).await;
    let rejected = world.rejected();
    assert_eq!(rejected.len(), 2, "{rejected:?}");
    assert!(
        rejected[0].starts_with("ServiceEntry default/b a.yaml:"),
        "{}",
        rejected[0]
    );
    assert!(
        rejected[0].contains("not valid YAML") && rejected[0].contains("--> a.yaml:"),
        "{}",
        rejected[0]
    );
    assert!(
        rejected[1].starts_with("ServiceEntry default/c a.yaml:"),
        "{}",
        rejected[1]
    );
    assert!(
        rejected[1].contains("spec.ports[0].number: ") && rejected[1].contains("--> a.yaml:"),
        "{}",
        rejected[1]
    );

    // Nothing can be told apart in this, so everything stays.
    fs::write(world.path("a.yaml"), "\"\n").unwrap();
    world.write("other.yaml", &["other"]);
    world.until(&["a", "b", "c", "d", "other"]).await;
    world.write("a.yaml", &["a", "e"]);
    world.until(&["a", "e", "other"]).await;
    assert_eq!(world.rejected(), Vec::<String>::new());
    world.never_seen(&[&["a"], &["a", "d"], &["other"]]);
}

#[tokio::test]
async fn what_moves_between_files_is_never_missing() {
    let mut world = World::start(&[("a.yaml", &["a", "m"]), ("b.yaml", &["b"])]).await;
    world.until(&["a", "b", "m"]).await;
    world.write("a.yaml", &["a"]);
    world.write("b.yaml", &["b", "m"]);
    world.write("c.yaml", &["c"]);
    world.until(&["a", "b", "c", "m"]).await;
    world.never_seen(&[&["a", "b"], &["a", "b", "c"]]);
}

#[tokio::test]
async fn an_object_in_two_files_is_used_once_and_reported() {
    let mut world = World::start(&[("a.yaml", &["x"]), ("b.yaml", &["x", "z"])]).await;
    world.until(&["x", "z"]).await;
    let lost = world.lost();
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(
        lost[0].contains("a.yaml:1") && lost[0].contains("b.yaml:1"),
        "{}",
        lost[0]
    );
    world.remove("a.yaml");
    world.write("c.yaml", &["c"]);
    world.until(&["c", "x", "z"]).await;
}

#[tokio::test]
async fn a_file_that_cannot_be_read_keeps_everything() {
    let mut world = World::start(&[("a.yaml", &["a"]), ("b.yaml", &["b"])]).await;
    world.until(&["a", "b"]).await;
    // As root there is no file without permission; bytes that are no text and links that lead nowhere are for everybody.
    fs::write(world.path("a.yaml"), b"\xff\xfe").unwrap();
    world.until_failing(&["a.yaml"]).await;
    fs::remove_file(world.path("b.yaml")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", world.path("b.yaml")).unwrap();
    world.until_failing(&["a.yaml", "b.yaml"]).await;
    fs::remove_file(world.path("b.yaml")).unwrap();
    world.write("b.yaml", &["b"]);
    world.until_failing(&["a.yaml"]).await;
    world.write("a.yaml", &["a", "again"]);
    world.until(&["a", "again", "b"]).await;
    world.until_failing(&[]).await;
    world.never_seen(&[&["a"], &["b"], &[]]);
}

#[cfg(unix)]
#[tokio::test]
async fn permission_is_lost_and_regained() {
    use std::os::unix::fs::PermissionsExt;

    let mut world = World::start(&[("a.yaml", &["a"]), ("shop/b.yaml", &["b"])]).await;
    world.until(&["a", "b"]).await;
    let mode =
        |path: &str, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let (file, dir) = (world.path("a.yaml"), world.path("shop"));
    let (file, dir) = (file.to_str().unwrap(), dir.to_str().unwrap());
    mode(file, 0o000);
    if fs::read(file).is_ok() {
        // No mode binds the superuser.
        return as_nobody("faults::permission_is_lost_and_regained");
    }
    mode(dir, 0o000);
    world
        .until_failing(&["a.yaml", "shop", "shop/b.yaml"])
        .await;
    mode(file, 0o644);
    mode(dir, 0o755);
    world.until_failing(&[]).await;
    world.write("shop/b.yaml", &["b", "c"]);
    world.until(&["a", "b", "c"]).await;
    world.never_seen(&[&["a"], &["b"], &[]]);
}

/// Runs one test of this binary as a user without rights.
#[cfg(unix)]
fn as_nobody(test: &str) {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    const NOBODY: u32 = 65534;
    // Where the binary stands, that user may not be allowed to go.
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = dir.path().join("registry");
    fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = std::process::Command::new(&binary);
    let output = command
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .args(["--exact", test])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[tokio::test]
async fn a_root_that_vanishes_changes_nothing_until_it_is_back() {
    let mut world = World::start(&[("a.yaml", &["a"]), ("b.yaml", &["b"])]).await;
    world.until(&["a", "b"]).await;
    fs::remove_dir_all(world.path("")).unwrap();
    world.until_root_failing(true).await;
    // In the way of the directory stands a file.
    fs::write(world.path(""), "").unwrap();
    fs::remove_file(world.path("")).unwrap();
    world.write("a.yaml", &["a", "c"]);
    world.until(&["a", "c"]).await;
    world.until_root_failing(false).await;
    world.never_seen(&[&["a"], &["b"], &[]]);
    world.write("sub/d.yaml", &["d"]);
    world.until(&["a", "c", "d"]).await;
}

#[tokio::test]
async fn an_emptied_root_is_held_by_the_guard() {
    let mut world = World::start(&[("a.yaml", &["a"]), ("b.yaml", &["b"])]).await;
    world.until(&["a", "b"]).await;
    world.remove("a.yaml");
    world.remove("b.yaml");
    world.until_held(2).await;
    world.write("c.yaml", &["c"]);
    world.until(&["a", "b", "c"]).await;
}

#[tokio::test]
async fn an_emptied_root_is_believed_when_a_second_read_agrees() {
    let guard = GuardSettings {
        confirm_after: Duration::from_millis(300),
        ..GuardSettings::default()
    };
    let mut world = World::guarded(&[("a.yaml", &["a"]), ("b.yaml", &["b"])], guard).await;
    world.until(&["a", "b"]).await;
    world.remove("a.yaml");
    world.remove("b.yaml");
    world.until_held(2).await;
    world.until(&[]).await;
    world.until_held(0).await;
    world.write("c.yaml", &["c"]);
    world.until(&["c"]).await;
}

#[tokio::test]
async fn editors_and_their_leavings_do_no_harm() {
    let mut world = World::start(&[("a.yaml", &["a"])]).await;
    world.until(&["a"]).await;
    for leaving in [".a.yaml.swp", "a.yaml~", "#a.yaml#", ".#a.yaml", "4913"] {
        world.write(leaving, &["wrong"]);
    }
    // Moves the file away and writes it anew, as vim does.
    fs::rename(world.path("a.yaml"), world.path("a.yaml~")).unwrap();
    world.write("a.yaml", &["a", "b"]);
    fs::remove_file(world.path("a.yaml~")).unwrap();
    world.until(&["a", "b"]).await;
    world.never_seen(&[&[], &["b"]]);
}

#[tokio::test]
async fn stopping_is_prompt() {
    let world = World::start(&[("a.yaml", &["a"])]).await;
    tokio::time::timeout(Duration::from_secs(1), world.stop())
        .await
        .expect("a stop within a second");
}
