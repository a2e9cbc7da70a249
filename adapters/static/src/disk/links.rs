//! The symbolic links on the way to a file.
//!
//! A mounted ConfigMap shows `a.yaml -> ..data/a.yaml` with `..data -> ..2026_01_31`, and an update replaces `..data` alone:
//! the file's own name never changes. So whoever follows a link depends on every link on the way.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// As many as Linux follows.
const LIMIT: usize = 40;

/// Every place, without a link in its own parents, that decides what is found at the absolute `path`: each link on the
/// way, and where the way ends, whether or not anything is there.
pub(crate) fn places(path: &Path) -> Vec<PathBuf> {
    let mut places = Vec::new();
    let mut here = PathBuf::new();
    // The last is the next.
    let mut ahead: Vec<Step> = steps(path).collect();
    let mut followed = 0;
    while let Some(step) = ahead.pop() {
        match step {
            Step::Root(root) => here = root,
            Step::Up => {
                here.pop();
            }
            Step::Down(name) => {
                here.push(name);
                if let Ok(target) = here.read_link() {
                    places.push(here.clone());
                    here.pop();
                    followed += 1;
                    if followed > LIMIT {
                        return places;
                    }
                    ahead.extend(steps(&target));
                }
            }
        }
    }
    places.push(here);
    places
}

enum Step {
    Root(PathBuf),
    Up,
    Down(OsString),
}

/// The steps of `path`, the first one last.
fn steps(path: &Path) -> impl Iterator<Item = Step> {
    path.components()
        .rev()
        .filter_map(|component| match component {
            Component::Prefix(_) | Component::CurDir => None,
            Component::RootDir => Some(Step::Root(
                path.ancestors().last().unwrap_or(path).to_owned(),
            )),
            Component::ParentDir => Some(Step::Up),
            Component::Normal(name) => Some(Step::Down(name.to_owned())),
        })
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_link_on_the_way_counts() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let check = |path: &str, expected: &[&str]| {
            let expected: Vec<_> = expected.iter().map(|place| root.join(place)).collect();
            assert_eq!(places(&root.join(path)), expected, "to {path}");
        };
        fs::create_dir_all(root.join("mount/..v1")).unwrap();
        fs::write(root.join("mount/..v1/a.yaml"), "").unwrap();
        symlink("..v1", root.join("mount/..data")).unwrap();
        symlink("..data/a.yaml", root.join("mount/a.yaml")).unwrap();
        symlink(root.join("mount"), root.join("etc")).unwrap();
        symlink("../nowhere/b", root.join("mount/b.yaml")).unwrap();
        symlink("loop", root.join("loop")).unwrap();

        check("mount/..v1/a.yaml", &["mount/..v1/a.yaml"]);
        check(
            "mount/a.yaml",
            &["mount/a.yaml", "mount/..data", "mount/..v1/a.yaml"],
        );
        check(
            "etc/a.yaml",
            &["etc", "mount/a.yaml", "mount/..data", "mount/..v1/a.yaml"],
        );
        check("mount/b.yaml", &["mount/b.yaml", "nowhere/b"]);
        assert_eq!(places(&root.join("loop")).len(), LIMIT + 1);
    }
}
