//! All files below a folder, but for what is nobody's data: hidden files, those of file systems, and what Alike wrote.
//!
//! A folder is read once, however many links lead to it: first by its own path, then by the first link by name. So circles end, and
//! links that fork do not double what there is.

use super::arrange::in_runs;
use super::{Member, wrong};
use crate::data::DataError;
use crate::data::listing::{LeftOut, Place, Why};
use crate::data::picture::is_picture;
use crate::files::{self, FileError};
use crate::names::shown;
use crate::own_files;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Folders that systems and devices keep for themselves, of any case.
const SYSTEM: [&str; 12] = [
    "__macosx",
    "@eadir",
    "@tmp",
    "@recycle",
    "@recently-snapshot",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "recycler",
    "lost+found",
    "system volume information",
    "__pycache__",
];

/// Whether a file or folder of this name is nobody's data, and so is all below it.
pub(super) fn is_system(name: &str) -> bool {
    (name.starts_with('.') && name != "." && name != "..")
        || SYSTEM.iter().any(|s| name.eq_ignore_ascii_case(s))
}

/// Folders within folders.
const DEEPEST: usize = 128;
/// Links that a note names.
const NAMED: usize = 3;

/// What a folder holds.
pub(super) struct Walked {
    /// Its files, in any order.
    pub(super) members: Vec<Member>,
    /// The pictures among them that are not the set's.
    pub(super) left: Vec<LeftOut>,
    /// What a user should know.
    pub(super) notes: Vec<String>,
}

/// The files below a folder.
pub(super) fn walk(folder: &Path) -> Result<Walked, DataError> {
    let mut all = Below::default();
    let mut seen = HashSet::new();
    let mut again = Vec::new();
    let mut to_do = BTreeMap::from([(String::new(), folder.to_owned())]);
    // Links last, by name: which of them leads to a folder first does not depend on the order in which the system lists them.
    while let Some((name, path)) = to_do.pop_first() {
        let found = below(&path, &name, 0, &seen)?;
        if found.folders.is_empty() {
            again.push(name.trim_end_matches('/').to_owned());
        }
        seen.extend(found.folders);
        all.files.extend(found.files);
        all.strange.extend(found.strange);
        to_do.extend(found.links);
    }
    let (members, runs) = in_runs(all.files);
    let is_own: Vec<bool> = members.par_iter().map(|m| is_png(&m.name) && is_drawn(&m.place)).collect();
    let mut own = is_own.iter();
    let (drawn, members): (Vec<Member>, Vec<Member>) =
        members.into_iter().partition(|_| own.next() == Some(&true));
    let drawn = LeftOut::new(Why::Drawn, drawn.into_iter().map(|m| m.name));
    all.strange.sort();
    let strange = LeftOut::new(Why::NotAFile, all.strange.into_iter().filter(|name| is_picture(name)));
    let left = [drawn, runs, strange].into_iter().filter(|l| l.count > 0).collect();
    let notes = match &again[..] {
        [] => Vec::new(),
        [link] => vec![format!("a link leads to a folder that is read already, and is not followed: {link}")],
        links => {
            let more = if links.len() > NAMED { ", ..." } else { "" };
            let named = links.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let n = links.len();
            vec![format!(
                "{n} links lead to folders that are read already, and are not followed: {named}{more}"
            )]
        }
    };
    Ok(Walked { members, left, notes })
}

pub(super) fn is_png(name: &str) -> bool {
    is_picture(name) && name.len() >= 4 && name.as_bytes()[name.len() - 4..].eq_ignore_ascii_case(b".png")
}

/// Whether a file is a figure of Alike's, by its first bytes.
fn is_drawn(place: &Place) -> bool {
    let Place::File(path) = place else { return false };
    let mut head = Vec::with_capacity(own_files::PNG_HEAD);
    let read = File::open(path).and_then(|file| file.take(own_files::PNG_HEAD as u64).read_to_end(&mut head));
    read.is_ok() && own_files::is_own_png(&head)
}

/// What is found below a folder without following links to folders.
#[derive(Default)]
struct Below {
    files: Vec<Member>,
    /// Every folder that was read; none if the first was read before.
    folders: Vec<Identity>,
    links: BTreeMap<String, PathBuf>,
    /// What is no file.
    strange: Vec<String>,
}

/// By what a folder is known, whatever path leads to it.
#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = PathBuf;

#[cfg(unix)]
fn identity(folder: &Path) -> std::io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(folder).map(|m| (m.dev(), m.ino()))
}

#[cfg(not(unix))]
fn identity(folder: &Path) -> std::io::Result<Identity> {
    folder.canonicalize()
}

fn below(folder: &Path, within: &str, depth: usize, seen: &HashSet<Identity>) -> Result<Below, DataError> {
    if depth > DEEPEST {
        return Err(wrong(folder, format!("it lies more than {DEEPEST} folders deep")));
    }
    let reading = |e| DataError::File(FileError::reading(folder)(e));
    let own = identity(folder).map_err(reading)?;
    let mut found = Below::default();
    if seen.contains(&own) {
        return Ok(found);
    }
    found.folders.push(own);
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(reading)? {
        let entry = entry.map_err(reading)?;
        let name = shown(entry.file_name());
        if is_system(&name) {
            continue;
        }
        let (mut kind, path) = (entry.file_type().map_err(reading)?, entry.path());
        let name = format!("{within}{name}");
        let is_link = kind.is_symlink();
        if is_link && let Ok(target) = std::fs::metadata(&path) {
            kind = target.file_type();
        }
        if kind.is_dir() && is_link {
            found.links.insert(name + "/", path);
        } else if kind.is_dir() {
            folders.push((path, name + "/"));
        } else if files::strange(kind).is_some() {
            found.strange.push(name);
        } else {
            found.files.push(Member { name, place: Place::File(path) });
        }
    }
    let below: Vec<Below> = folders
        .par_iter()
        .map(|(path, name)| below(path, name, depth + 1, seen))
        .collect::<Result<_, _>>()?;
    for mut more in below {
        found.files.append(&mut more.files);
        found.folders.append(&mut more.folders);
        found.links.append(&mut more.links);
        found.strange.append(&mut more.strange);
    }
    Ok(found)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(walked: &Walked) -> Vec<&str> {
        let mut names: Vec<&str> = walked.members.iter().map(|m| m.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Two links a folder that lead up: followed, they would be 2^128 paths.
    #[test]
    fn a_folder_is_read_once_however_many_links_lead_to_it() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let top = root.path();
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        std::fs::write(top.join("a/b/1.png"), b"1").unwrap();
        std::fs::create_dir(other.path().join("deep")).unwrap();
        std::fs::write(other.path().join("deep/2.png"), b"2").unwrap();
        for (target, link) in [(top, "a/up"), (top, "a/b/again"), (&top.join("a"), "a/b/circle")] {
            symlink(target, top.join(link)).unwrap();
        }
        symlink(other.path(), top.join("x")).unwrap();
        symlink(other.path(), top.join("y")).unwrap();
        symlink(other.path().join("nowhere"), top.join("gone.png")).unwrap();
        let walked = walk(top).unwrap();
        assert_eq!(names(&walked), ["a/b/1.png", "gone.png", "x/deep/2.png"]);
        assert_eq!(
            walked.notes,
            [
                "4 links lead to folders that are read already, and are not followed: a/b/again, a/b/circle, a/up, ..."
            ]
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn pipes_and_devices_are_left_out_and_said() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("1.png"), b"1").unwrap();
        for name in ["pipe.png", "manifest.csv"] {
            let made = std::process::Command::new("mkfifo").arg(root.path().join(name)).status().unwrap();
            assert!(made.success());
        }
        symlink("/dev/zero", root.path().join("zero.jpg")).unwrap();
        let walked = walk(root.path()).unwrap();
        assert_eq!(names(&walked), ["1.png"]);
        let said = walked.left[0].sentence();
        assert_eq!(said, "left out: 2 pictures that are pipes, sockets or devices: pipe.png, zero.jpg");
    }
}
