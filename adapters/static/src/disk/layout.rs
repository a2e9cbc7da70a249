//! Which configuration files a directory holds, and which places on disk decide that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::content::ReadError;
use super::links;

/// Deeper ones are no configuration.
const DEPTH: usize = 32;

/// What a change on disk may mean for the files of a directory. Places are written without links in their parents, as the
/// platform's events name them.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// The directories that were listed, and what each is called from the root: `""`, `shop`, `shop/eu`.
    dirs: BTreeMap<PathBuf, String>,
    /// Places that decide what is found at a file that is a link.
    links: BTreeMap<PathBuf, BTreeSet<String>>,
    /// Places that decide what the root, or a directory that is a link, is.
    roots: BTreeSet<PathBuf>,
}

/// The files of a directory.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Every configuration file, called by its path from the root with `/` between the parts.
    pub(crate) files: BTreeSet<String>,
    /// Directories below the root that cannot be listed. What was in them may still be there.
    pub(crate) unreadable: BTreeMap<String, ReadError>,
}

/// What a change at a place means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Concern {
    /// Nothing.
    None,
    /// Only these files may be different.
    Files(BTreeSet<String>),
    /// There may be other files than before.
    Layout,
}

impl Layout {
    /// Lists the files below `root`, an absolute path. Each directory is handed to `watch` before it is listed, so that no change
    /// falls between the two.
    ///
    /// # Errors
    /// The root cannot be listed. The layout then says only what leads to the root.
    pub(crate) fn list(
        root: &Path,
        watch: &mut dyn FnMut(&Path),
    ) -> (Self, Result<Listing, ReadError>) {
        let mut layout = Self::default();
        layout.depend(root, watch);
        let mut listing = Listing::default();
        let listed = layout.list_dir(root, "", 0, &mut listing, watch);
        (layout, listed.map(|()| listing))
    }

    /// Adds what decides what the root is according to `other`.
    pub(crate) fn merge(&mut self, other: Self) {
        self.roots.extend(other.roots);
    }

    /// Every directory that has something to do with the files.
    pub(crate) fn watched(&self) -> BTreeSet<&Path> {
        let parents = self
            .links
            .keys()
            .chain(&self.roots)
            .filter_map(|place| place.parent());
        self.dirs
            .keys()
            .map(PathBuf::as_path)
            .chain(parents)
            .collect()
    }

    /// What a change of `place` means.
    pub(crate) fn concern(&self, place: &Path) -> Concern {
        if self.roots.contains(place) || self.dirs.contains_key(place) {
            return Concern::Layout;
        }
        let mut files = self.links.get(place).cloned().unwrap_or_default();
        if let (Some(parent), Some(name)) = (place.parent(), place.file_name())
            && let Some(dir) = self.dirs.get(parent)
        {
            let name = name.to_string_lossy();
            if is_config(&name) {
                files.insert(join(dir, &name));
            } else if !is_hidden(&name) && fs::metadata(place).is_ok_and(|meta| meta.is_dir()) {
                return Concern::Layout;
            }
        }
        if files.is_empty() {
            Concern::None
        } else {
            Concern::Files(files)
        }
    }

    /// Looks again at what `files` of `root` depend on. A plain file depends on nothing but itself.
    pub(crate) fn relink(
        &mut self,
        root: &Path,
        files: &BTreeSet<String>,
        watch: &mut dyn FnMut(&Path),
    ) {
        self.links.retain(|_, dependent| {
            dependent.retain(|file| !files.contains(file));
            !dependent.is_empty()
        });
        for file in files {
            let path = root.join(file);
            if path.is_symlink() {
                self.link(file, &path, watch);
            }
        }
    }

    fn link(&mut self, file: &str, path: &Path, watch: &mut dyn FnMut(&Path)) {
        for place in links::places(path) {
            place.parent().into_iter().for_each(&mut *watch);
            self.links.entry(place).or_default().insert(file.to_owned());
        }
    }

    fn depend(&mut self, dir: &Path, watch: &mut dyn FnMut(&Path)) {
        for place in links::places(dir) {
            place.parent().into_iter().for_each(&mut *watch);
            self.roots.insert(place);
        }
    }

    fn list_dir(
        &mut self,
        path: &Path,
        name: &str,
        depth: usize,
        listing: &mut Listing,
        watch: &mut dyn FnMut(&Path),
    ) -> Result<(), ReadError> {
        let io = |source| ReadError::Io {
            path: path.display().to_string(),
            source,
        };
        let place = path.canonicalize().map_err(io)?;
        // Links make loops, and `..data` of a mounted ConfigMap shows every file twice: a directory is listed once.
        if self.dirs.contains_key(&place) {
            return Ok(());
        }
        watch(&place);
        let mut entries = fs::read_dir(path)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(io)?;
        self.dirs.insert(place, name.to_owned());
        // The order of a directory is the file system's; which of two links to one directory counts must not be.
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let entry_name = entry.file_name();
            let entry_name = entry_name.to_string_lossy();
            if is_hidden(&entry_name) {
                continue;
            }
            let (path, name) = (entry.path(), join(name, &entry_name));
            let link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            let is_dir = match entry.file_type() {
                Ok(kind) if kind.is_dir() => true,
                _ => link && fs::metadata(&path).is_ok_and(|meta| meta.is_dir()),
            };
            if is_dir {
                if link {
                    self.depend(&path, watch);
                }
                let listed = if depth < DEPTH {
                    self.list_dir(&path, &name, depth + 1, listing, watch)
                } else {
                    Ok(())
                };
                // One that has vanished between the two looks is not there.
                if let Err(error) = listed
                    && fs::symlink_metadata(&path).is_ok()
                {
                    listing.unreadable.insert(name, error);
                }
            } else if is_config(&entry_name) {
                if link {
                    self.link(&name, &path, watch);
                }
                listing.files.insert(name);
            }
        }
        Ok(())
    }
}

fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() {
        name.to_owned()
    } else {
        format!("{dir}/{name}")
    }
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

/// Whether a file of this name is configuration. What editors leave behind (`.a.yaml.swp`, `a.yaml~`, `#a.yaml#`) is not.
fn is_config(name: &str) -> bool {
    let extension = name
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase());
    !name.starts_with(['.', '#']) && matches!(extension.as_deref(), Some("yaml" | "yml" | "json"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn list(root: &Path) -> (Layout, Listing, Vec<PathBuf>) {
        let mut watched = Vec::new();
        let (layout, listing) = Layout::list(root, &mut |dir| watched.push(dir.to_owned()));
        (layout, listing.expect("the root can be listed"), watched)
    }

    fn names(listing: &Listing) -> Vec<&str> {
        listing.files.iter().map(String::as_str).collect()
    }

    #[test]
    fn configuration_is_found_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("shop/eu")).unwrap();
        fs::create_dir_all(dir.path().join(".git")).unwrap();
        for name in [
            "b.yaml",
            "a.yml",
            "c.JSON",
            "shop/eu/d.json",
            "readme.md",
            ".hidden.yaml",
            ".b.yaml.swp",
            "b.yaml~",
            "#b.yaml#",
            ".#b.yaml",
            "4913",
            "yaml",
            ".git/x.yaml",
            "b.yaml.tmp",
        ] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let (_, listing, _) = list(dir.path());
        assert_eq!(
            names(&listing),
            ["a.yml", "b.yaml", "c.JSON", "shop/eu/d.json"]
        );
    }

    #[test]
    fn a_mounted_config_map_is_read_once_and_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir(root.join("..v1")).unwrap();
        fs::write(root.join("..v1/a.yaml"), "").unwrap();
        symlink("..v1", root.join("..data")).unwrap();
        symlink("..data/a.yaml", root.join("a.yaml")).unwrap();

        let (layout, listing, watched) = list(&root);
        assert_eq!(names(&listing), ["a.yaml"]);
        assert!(watched.contains(&root) && watched.contains(&root.join("..v1")));
        let concern = |place: &str| layout.concern(&root.join(place));
        let file = || Concern::Files(["a.yaml".to_owned()].into());
        assert_eq!(concern("a.yaml"), file());
        assert_eq!(concern("..data"), file());
        assert_eq!(concern("..v1/a.yaml"), file());
        assert_eq!(concern("..v2"), Concern::None);
        assert_eq!(concern("..data_tmp"), Concern::None);
    }

    #[test]
    fn links_to_directories_are_followed_without_loops() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("real")).unwrap();
        fs::create_dir_all(dir.path().join("elsewhere")).unwrap();
        fs::write(root.join("real/a.yaml"), "").unwrap();
        fs::write(dir.path().join("elsewhere/b.yaml"), "").unwrap();
        symlink("..", root.join("real/up")).unwrap();
        symlink("real", root.join("same")).unwrap();
        symlink(dir.path().join("elsewhere"), root.join("out")).unwrap();
        symlink("nowhere", root.join("c.yaml")).unwrap();

        let (layout, listing, _) = list(&root);
        assert_eq!(names(&listing), ["c.yaml", "out/b.yaml", "real/a.yaml"]);
        let elsewhere = dir.path().canonicalize().unwrap().join("elsewhere");
        assert_eq!(layout.concern(&elsewhere), Concern::Layout);
        assert_eq!(
            layout.concern(&elsewhere.join("b.yaml")),
            Concern::Files(["out/b.yaml".to_owned()].into())
        );
        assert_eq!(
            layout.concern(&root.canonicalize().unwrap()),
            Concern::Layout
        );
    }

    #[test]
    fn a_root_that_is_not_there_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join("root");
        let (layout, listing) = Layout::list(&root, &mut |_| ());
        assert!(listing.is_err());
        assert_eq!(layout.concern(&root), Concern::Layout);
        assert_eq!(
            layout.watched(),
            [dir.path().canonicalize().unwrap().as_path()].into()
        );
    }
}
