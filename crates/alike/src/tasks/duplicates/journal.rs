//! Moving duplicates away, so that it can be undone: a journal says what lies where, and is written before anything moves.

use super::{CopyKind, DuplicatePicture, DuplicatePictures, DuplicatesAnswer};
use crate::files::{self, FileError};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The journal's name in the folder that duplicates are moved to.
const NAME: &str = "moved.jsonl";

/// Duplicates could not be moved or moved back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Where they should go is among the pictures themselves.
    #[error("{} lies in {}, whose pictures are compared: what is moved there would be found again", to.display(), within.display())]
    Within {
        /// Where they should go.
        to: PathBuf,
        /// A folder that is searched.
        within: PathBuf,
    },
    /// A file is not what it was when it was compared.
    #[error("{} was changed since it was compared; it stays where it is", file.display())]
    Changed {
        /// The file.
        file: PathBuf,
    },
    /// Something lies where a file should go back to.
    #[error("{} is there, so {} cannot go back to it", to.display(), from.display())]
    Taken {
        /// Where it was.
        to: PathBuf,
        /// Where it is.
        from: PathBuf,
    },
    /// There is no journal, or it is none.
    #[error("{} is no journal of moved files: {why}", path.display())]
    NoJournal {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// A file that was moved, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Moved {
    /// Where it was.
    pub from: PathBuf,
    /// Where it is.
    pub to: PathBuf,
    /// Digest of its content (XXH3, 128 bits).
    pub digest: String,
}

/// What [`Journal::undo`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Undone {
    /// Files that went back.
    pub moved: usize,
    /// Files that were never moved, or are back already.
    pub there: usize,
}

/// The record of what was moved into a folder.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens the journal of a folder that duplicates are moved to; both are made if they are not there.
    ///
    /// # Errors
    ///
    /// If the folder lies within one of `searched`, or it cannot be written.
    pub fn open(folder: &Path, searched: &[PathBuf]) -> Result<Journal, JournalError> {
        let whole = |path: &Path| {
            // A folder that is not there yet lies where the first one above it does.
            let there = path.ancestors().find_map(|a| Some((a, a.canonicalize().ok()?)));
            there.map_or_else(|| path.to_owned(), |(a, at)| at.join(path.strip_prefix(a).unwrap_or(path)))
        };
        let to = whole(&std::path::absolute(folder).map_err(FileError::writing(folder))?);
        if let Some(within) = searched.iter().find(|s| s.is_dir() && to.starts_with(whole(s))) {
            return Err(JournalError::Within { to: folder.to_owned(), within: within.clone() });
        }
        files::create_dir(&to)?;
        let path = to.join(NAME);
        let open = || -> io::Result<File> {
            let mut file = OpenOptions::new().create(true).append(true).read(true).open(&path)?;
            // A line that a kill cut off gets its end, so that the next one stands alone.
            let len = file.metadata()?.len();
            let mut last = [b'\n'];
            if len > 0 {
                files::read_at(&file, &mut last, len - 1)?;
            }
            if last != [b'\n'] {
                file.write_all(b"\n")?;
            }
            file.sync_all()?;
            Ok(file)
        };
        let file = open().map_err(FileError::writing(&path))?;
        Ok(Journal { path, file })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves a file into the folder, once the journal says so.
    fn take(
        &mut self,
        picture: &DuplicatePicture,
        file: &Path,
        roots: &[PathBuf],
    ) -> Result<Moved, JournalError> {
        let from = std::path::absolute(file).map_err(FileError::reading(file))?;
        if DuplicatePictures::digest(&from)? != picture.digest {
            return Err(JournalError::Changed { file: from });
        }
        let folder = self.path.parent().unwrap_or(Path::new("."));
        // It keeps its path below the folder in which it was found.
        let below = roots.iter().find_map(|root| {
            let root = std::path::absolute(root).ok()?;
            from.strip_prefix(root).ok().filter(|p| p.components().next().is_some())
        });
        let below = below.or(from.file_name().map(Path::new)).unwrap_or(&from);
        let to = free(&folder.join(below));
        let moved = Moved { from, to, digest: picture.digest.clone() };
        let line = serde_json::to_string(&moved).map_err(io::Error::other);
        let note = |line: String| {
            self.file.write_all(format!("{line}\n").as_bytes())?;
            self.file.sync_data()
        };
        line.and_then(note).map_err(FileError::writing(&self.path))?;
        if let Some(folder) = moved.to.parent() {
            files::create_dir(folder)?;
        }
        rename(&moved.from, &moved.to)?;
        Ok(moved)
    }

    /// Moves everything in a journal back to where it was, and removes the journal. What was moved last goes back first.
    ///
    /// # Errors
    ///
    /// If there is no journal, something else lies where a file was, or a file cannot be moved; what went back before stays there, and the
    /// journal stays too.
    pub fn undo(journal: &Path) -> Result<Undone, JournalError> {
        let path = if journal.is_dir() { journal.join(NAME) } else { journal.to_owned() };
        let wrong = |why: String| JournalError::NoJournal { path: path.clone(), why };
        let text = files::read_lines(&path)?;
        // The last line may have been cut off before its file moved.
        let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        let mut moved: Vec<Moved> = Vec::new();
        for (i, line) in lines.iter().enumerate() {
            match serde_json::from_str(line) {
                Ok(one) => moved.push(one),
                Err(e) if i == 0 => return Err(wrong(format!("its line 1: {e}"))),
                Err(_) => {}
            }
        }
        let mut undone = Undone::default();
        for Moved { from, to, .. } in moved.iter().rev() {
            match (from.symlink_metadata().is_ok(), to.symlink_metadata().is_ok()) {
                (_, false) => undone.there += 1,
                (true, true) => return Err(JournalError::Taken { to: from.clone(), from: to.clone() }),
                (false, true) => {
                    if let Some(folder) = from.parent() {
                        files::create_dir(folder)?;
                    }
                    rename(to, from)?;
                    undone.moved += 1;
                }
            }
            // Folders that are empty again go, up to the journal's own.
            let own = path.parent();
            for folder in to.ancestors().skip(1).take_while(|f| Some(*f) != own) {
                if std::fs::remove_dir(folder).is_err() {
                    break;
                }
            }
        }
        std::fs::remove_file(&path).map_err(FileError::writing(&path))?;
        Ok(undone)
    }
}

/// A path that nothing has: with a number before the ending, if need be.
fn free(path: &Path) -> PathBuf {
    let taken = |p: &Path| p.symlink_metadata().is_ok();
    let numbered = |n: usize| {
        let mut name = OsString::from(path.file_stem().unwrap_or_default());
        name.push(format!(" ({n})"));
        if let Some(ending) = path.extension() {
            name.push(".");
            name.push(ending);
        }
        path.with_file_name(name)
    };
    if !taken(path) {
        return path.to_owned();
    }
    (2..).map(numbered).find(|p| !taken(p)).unwrap_or_else(|| path.to_owned())
}

/// Renames a file; between file systems it is copied and synced before the old one goes. Nothing is ever replaced: who calls looked.
fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    match std::fs::rename(from, to) {
        Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
            let mut source = files::open(from)?;
            files::write_with(to, |w| io::copy(&mut source, w).map(drop))?;
            std::fs::remove_file(from).map_err(FileError::writing(from))
        }
        other => other.map_err(FileError::writing(from)),
    }
}

/// Moves the duplicates of these kinds that are files; the ones to keep stay. `roots` are the folders that were searched.
///
/// # Errors
///
/// If a file was changed since it was compared, or cannot be moved: what was moved before is in the journal.
pub fn move_to(
    journal: &mut Journal,
    answer: &DuplicatesAnswer,
    kinds: &[CopyKind],
    roots: &[PathBuf],
) -> Result<Vec<Moved>, JournalError> {
    let mut moved: Vec<Moved> = Vec::new();
    for group in &answer.groups {
        for member in group.others.iter().filter(|m| kinds.contains(&m.kind)) {
            let Some(file) = &member.picture.file else { continue };
            // One that went with its copies already.
            let from = std::path::absolute(file).map_err(FileError::reading(file))?;
            if !moved.iter().any(|m| m.from == from) {
                moved.push(journal.take(&member.picture, file, roots)?);
            }
        }
    }
    Ok(moved)
}

/// Replaces files with the very bytes of the one that is kept by hard links to it, which free their space and change nothing else.
///
/// # Errors
///
/// If a file was changed since it was compared, or the file system has no hard links between the two.
pub fn link(answer: &DuplicatesAnswer) -> Result<Vec<PathBuf>, JournalError> {
    let mut linked = Vec::new();
    for group in &answer.groups {
        let Some(keep) = &group.keep.file else { continue };
        let same = group.others.iter().filter(|m| m.picture.digest == group.keep.digest);
        for file in same.filter_map(|m| m.picture.file.as_ref()) {
            for path in [keep, file] {
                if DuplicatePictures::digest(path)? != group.keep.digest {
                    return Err(JournalError::Changed { file: path.clone() });
                }
            }
            // Under another name first: the file is there at every moment.
            let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let link = || -> io::Result<()> {
                let beside = tempfile::Builder::new().prefix(".alike-link.").tempdir_in(folder)?;
                let new = beside.path().join("link");
                std::fs::hard_link(keep, &new)?;
                std::fs::rename(&new, file)
            };
            link().map_err(FileError::writing(file))?;
            linked.push(file.clone());
        }
    }
    Ok(linked)
}
