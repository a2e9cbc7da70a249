//! Symbolic links, as mounted ConfigMaps and deployments by link use them.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;

use crate::world::{World, entries};

/// Writes a version of a mounted ConfigMap with these files, and flips to it as the kubelet does.
fn mount(world: &World, version: &str, files: &[(&str, &[&str])]) {
    let dir = world.path(&format!("..{version}"));
    fs::create_dir(&dir).unwrap();
    for (name, services) in files {
        fs::write(dir.join(name), entries(services)).unwrap();
    }
    let old = fs::read_link(world.path("..data")).ok();
    symlink(format!("..{version}"), world.path("..data_tmp")).unwrap();
    fs::rename(world.path("..data_tmp"), world.path("..data")).unwrap();
    for (name, _) in files {
        if fs::symlink_metadata(world.path(name)).is_err() {
            symlink(format!("..data/{name}"), world.path(name)).unwrap();
        }
    }
    if let Some(old) = old {
        fs::remove_dir_all(world.path(&old.to_string_lossy())).unwrap();
    }
}

#[tokio::test]
async fn a_mounted_config_map_flips() {
    let mut world = World::start(&[]).await;
    mount(&world, "v1", &[("a.yaml", &["a1"]), ("b.yaml", &["b"])]);
    world.until(&["a1", "b"]).await;
    mount(&world, "v2", &[("a.yaml", &["a2"]), ("b.yaml", &["b"])]);
    world.until(&["a2", "b"]).await;
    mount(
        &world,
        "v3",
        &[
            ("a.yaml", &["a2", "a3"]),
            ("b.yaml", &["b"]),
            ("c.yaml", &["c"]),
        ],
    );
    world.until(&["a2", "a3", "b", "c"]).await;
    // The kubelet takes the link of a removed key away after the flip.
    mount(
        &world,
        "v4",
        &[("a.yaml", &["a2", "a3"]), ("b.yaml", &["b4"])],
    );
    world.remove("c.yaml");
    world.until(&["a2", "a3", "b4"]).await;
    assert_eq!(world.lost(), Vec::<String>::new());
}

#[tokio::test]
async fn a_link_to_a_directory_flips() {
    let mut world = World::start(&[]).await;
    world.write_outside("one/a.yaml", &["one"]);
    world.write_outside("two/a.yaml", &["two"]);
    symlink("../one", world.path("current")).unwrap();
    world.until(&["one"]).await;
    symlink("../two", world.path(".next")).unwrap();
    fs::rename(world.path(".next"), world.path("current")).unwrap();
    world.until(&["two"]).await;
    world.write_outside("two/b.yaml", &["b"]);
    world.until(&["b", "two"]).await;
}

#[tokio::test]
async fn the_target_of_a_link_is_edited() {
    let mut world = World::start(&[]).await;
    world.write_outside("real.yaml", &["a"]);
    symlink("../real.yaml", world.path("a.yaml")).unwrap();
    world.until(&["a"]).await;
    world.write_outside("real.yaml", &["b"]);
    world.until(&["b"]).await;
}

#[tokio::test]
async fn the_root_itself_is_a_link_that_flips() {
    let mut world = World::start(&[("a.yaml", &["a"])]).await;
    world.until(&["a"]).await;
    world.write_outside("next/a.yaml", &["b"]);
    fs::rename(world.path(""), world.outside("old")).unwrap();
    symlink("next", world.path("")).unwrap();
    world.until(&["b"]).await;
    symlink("old", world.outside("tmp")).unwrap();
    fs::rename(world.outside("tmp"), world.path("")).unwrap();
    world.until(&["a"]).await;
}
