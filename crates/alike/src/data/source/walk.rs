//! All files below a folder, but for what is nobody's data: hidden files, those of file systems, and what Alike wrote.

use super::arrange::in_runs;
use super::{Member, wrong};
use crate::data::DataError;
use crate::data::listing::{LeftOut, Place, Why};
use crate::data::picture::is_picture;
use crate::files::FileError;
use crate::names::shown;
use crate::own;
use rayon::prelude::*;
use std::fs::File;
use std::io::Read;
use std::path::Path;

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

/// Folders within folders; beyond this it is a circle of links.
const DEEPEST: usize = 32;

/// The files below a folder, in any order, and the pictures among them that Alike made.
pub(super) fn walk(folder: &Path) -> Result<(Vec<Member>, Vec<LeftOut>), DataError> {
    let members = below(folder, "", 0)?;
    let (members, runs) = in_runs(members);
    let is_own: Vec<bool> = members.par_iter().map(|m| is_png(&m.name) && is_drawn(&m.place)).collect();
    let mut own = is_own.iter();
    let (drawn, members): (Vec<Member>, Vec<Member>) =
        members.into_iter().partition(|_| own.next() == Some(&true));
    let drawn = LeftOut::new(Why::Drawn, drawn.into_iter().map(|m| m.name));
    Ok((members, [drawn, runs].into_iter().filter(|l| l.count > 0).collect()))
}

pub(super) fn is_png(name: &str) -> bool {
    is_picture(name) && name.len() >= 4 && name.as_bytes()[name.len() - 4..].eq_ignore_ascii_case(b".png")
}

/// Whether a file is a figure of Alike's, by its first bytes.
fn is_drawn(place: &Place) -> bool {
    let Place::File(path) = place else { return false };
    let mut head = Vec::with_capacity(own::PNG_HEAD);
    let read = File::open(path).and_then(|file| file.take(own::PNG_HEAD as u64).read_to_end(&mut head));
    read.is_ok() && own::is_own_png(&head)
}

fn below(folder: &Path, within: &str, depth: usize) -> Result<Vec<Member>, DataError> {
    if depth > DEEPEST {
        return Err(wrong(folder, format!("it lies more than {DEEPEST} folders deep; is a link circular?")));
    }
    let reading = |e| DataError::File(FileError::reading(folder)(e));
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(reading)? {
        let entry = entry.map_err(reading)?;
        let name = shown(entry.file_name());
        if is_system(&name) {
            continue;
        }
        let (kind, path) = (entry.file_type().map_err(reading)?, entry.path());
        let name = format!("{within}{name}");
        if if kind.is_symlink() { path.is_dir() } else { kind.is_dir() } {
            folders.push((path, name + "/"));
        } else {
            files.push(Member { name, place: Place::File(path) });
        }
    }
    let below: Vec<Vec<Member>> =
        folders.par_iter().map(|(path, name)| below(path, name, depth + 1)).collect::<Result<_, _>>()?;
    files.extend(below.into_iter().flatten());
    Ok(files)
}
