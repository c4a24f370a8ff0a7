//! Reading regular files within limits, and writing files so that a reader sees the whole of the old or the whole of the new, whatever
//! happens between.

use crate::limits::Limit;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, FileType, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;

/// How files that are being written end. Whoever writes one holds its lock.
const PART: &str = ".alike.part";
/// A part file's lock is held as soon as it is there, or an instant later.
const INSTANT: Duration = Duration::from_secs(1);
/// The most bytes of a file's name that its temporary name keeps: systems allow 255.
const NAMED: usize = 80;

/// A file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {}: {why}", path.display())]
pub struct FileError {
    /// `read`, `write` or `create`.
    pub verb: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said. Not a `source`: the message holds it already.
    pub why: io::Error,
}

impl FileError {
    /// An error of reading `path`, for `map_err`.
    pub fn reading(path: &Path) -> impl FnOnce(io::Error) -> FileError {
        FileError::with("read", path)
    }

    /// An error of writing `path`, for `map_err`.
    pub fn writing(path: &Path) -> impl FnOnce(io::Error) -> FileError {
        FileError::with("write", path)
    }

    fn with(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
        let path = path.to_owned();
        move |why| FileError { verb, path, why }
    }
}

/// What is no file of bytes, in a word; nothing for files and for folders, which a system refuses by itself. Reading from a pipe
/// waits for somebody to write, and reading from a device may never end.
pub fn strange(kind: FileType) -> Option<&'static str> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a pipe");
        } else if kind.is_socket() {
            return Some("a socket");
        } else if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
    }
    let _ = kind;
    None
}

/// Opens a file for reading, and tells its length.
///
/// # Errors
///
/// If it is not there, or is no file.
pub fn open_sized(path: &Path) -> io::Result<(File, u64)> {
    // Before it is opened: opening a pipe waits already.
    let facts = std::fs::metadata(path)?;
    match strange(facts.file_type()) {
        Some(kind) => Err(io::Error::other(format!("it is {kind}, not a file"))),
        None => Ok((File::open(path)?, facts.len())),
    }
}

/// Opens a file for reading.
///
/// # Errors
///
/// If it is not there, or is no file.
pub fn open(path: &Path) -> Result<File, FileError> {
    open_sized(path).map(|(file, _)| file).map_err(FileError::reading(path))
}

/// Reads a whole file, if it is not larger than the limit.
///
/// # Errors
///
/// If it cannot be read, or is larger.
pub fn read(path: &Path, limit: Limit) -> Result<Vec<u8>, FileError> {
    let attempt = || -> io::Result<Vec<u8>> {
        let (file, len) = open_sized(path)?;
        limit.check(len, || "it is too large".into())?;
        let mut bytes = Vec::with_capacity(len as usize + 1);
        // What the system makes up as it is read has no length, and a file may grow.
        file.take(limit.most().saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit.most() {
            return Err(limit.exceeded("it is too large").into());
        }
        Ok(bytes)
    };
    attempt().map_err(FileError::reading(path))
}

/// Reads a whole text file.
///
/// # Errors
///
/// If it cannot be read, or is no text.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    text(path, Limit::Text)
}

/// Reads a text file that has a line for every image or step.
///
/// # Errors
///
/// If it cannot be read, or is no text.
pub fn read_lines(path: &Path) -> Result<String, FileError> {
    text(path, Limit::Array)
}

fn text(path: &Path, limit: Limit) -> Result<String, FileError> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "it is no text: it is not valid UTF-8");
    String::from_utf8(read(path, limit)?).map_err(|_| FileError::reading(path)(wrong()))
}

/// The JSON objects of a text that has one a line, each with its line's number from 1; or the line that is none, and why. Blank lines are
/// passed over, and so is a last line without an end that cannot be read: a crash cut it short.
///
/// # Errors
///
/// The number of the first line that is no such object, and why.
pub fn json_lines<T: DeserializeOwned>(text: &str) -> Result<Vec<(usize, T)>, (usize, serde_json::Error)> {
    let mut found = Vec::new();
    for (i, line) in text.split_inclusive('\n').enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(object) => found.push((i + 1, object)),
            Err(_) if !line.ends_with('\n') => {}
            Err(e) => return Err((i + 1, e)),
        }
    }
    Ok(found)
}

/// Reads as many bytes as `into` holds, from position `at` on; other readers of the file are not disturbed.
///
/// # Errors
///
/// If the file ends before, or cannot be read.
pub fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::read_exact_at(file, into, at)
    }
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < into.len() {
            match std::os::windows::fs::FileExt::seek_read(file, &mut into[done..], at + done as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => done += n,
            }
        }
        Ok(())
    }
}

/// Makes a folder and those above it.
///
/// # Errors
///
/// If it cannot be made.
pub fn create_dir(path: &Path) -> Result<(), FileError> {
    std::fs::create_dir_all(path).map_err(FileError::with("create", path))
}

/// Files that appear together: each is written under a temporary name and synced, and all are renamed by
/// [`StagedFiles::commit`]. A batch that is dropped before leaves no file and no folder behind.
#[derive(Debug, Default)]
pub struct StagedFiles {
    staged: Vec<(NamedTempFile, PathBuf)>,
    /// Dropped after what is staged.
    made: Vec<Made>,
    /// Whether files are renamed before the disk has them.
    hasty: bool,
}

impl StagedFiles {
    /// Writes what will be the file at `path`.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn stage(
        &mut self,
        path: &Path,
        fill: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let folder = folder_of(path);
        match std::fs::metadata(path) {
            // A device or a folder is nothing that a new file may replace.
            Ok(there) if !there.is_file() => {
                return Err(FileError::writing(path)(io::Error::other("it is there, and is no file")));
            }
            // The name is too long: told before any file of the batch is there.
            Err(e) if e.kind() == io::ErrorKind::InvalidFilename => return Err(FileError::writing(path)(e)),
            _ => {}
        }
        self.made.push(Made::folder(folder)?);
        let hasty = self.hasty;
        let prefix = prefix(path);
        let attempt = || -> io::Result<NamedTempFile> {
            let temporary = tempfile::Builder::new()
                .prefix(&prefix)
                .suffix(PART)
                .permissions_as_usual()
                .tempfile_in(folder)
                // The whole message would name the temporary file, which tells a reader nothing.
                .map_err(|e| io::Error::from(e.kind()))?;
            // Where a system has no locks, nobody can tell that the writer lives: see `sweep`.
            let _ = temporary.as_file().try_lock();
            let mut writer = BufWriter::new(temporary.as_file());
            fill(&mut writer)?;
            let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            if !hasty {
                file.sync_all()?;
            }
            Ok(temporary)
        };
        self.staged.push((attempt().map_err(FileError::writing(path))?, path.to_owned()));
        Ok(())
    }

    /// Gives every file its name.
    ///
    /// # Errors
    ///
    /// If a file cannot be renamed.
    pub fn commit(mut self) -> Result<(), FileError> {
        // What is written often and soon lies in a folder whose owner sweeps it.
        if !self.hasty {
            self.sweep();
        }
        for (temporary, path) in self.staged.drain(..) {
            temporary.persist(&path).map_err(|e| FileError::writing(&path)(e.error))?;
            // The rename itself lasts only once the folder is on disk; not every system can sync a folder.
            if !self.hasty
                && let Ok(folder) = File::open(folder_of(&path))
            {
                let _ = folder.sync_all();
            }
        }
        Ok(())
    }
}

impl StagedFiles {
    /// Removes what writers of the same files left behind when they died. A process looks into a folder once: thousands of files may be written to it, one
    /// after the other.
    fn sweep(&self) {
        static SEEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
        let mut names: BTreeMap<&Path, Vec<String>> = BTreeMap::new();
        for (_, path) in &self.staged {
            names.entry(folder_of(path)).or_default().push(prefix(path));
        }
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|folder, _| seen.insert(folder.to_path_buf()));
        drop(seen);
        for (folder, names) in names {
            sweep_where(folder, |file| names.iter().any(|name| file.starts_with(name)));
        }
    }
}

/// How the temporary name of a file begins.
fn prefix(path: &Path) -> String {
    let mut name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    name.truncate(name.floor_char_boundary(NAMED));
    format!(".{name}.")
}

impl Drop for StagedFiles {
    fn drop(&mut self) {
        self.staged.clear();
        // The last that was made is the innermost.
        while self.made.pop().is_some() {}
    }
}

/// Folders that were made for files, innermost first. Those that stay empty are removed again.
#[derive(Debug)]
struct Made(Vec<PathBuf>);

impl Made {
    fn folder(folder: &Path) -> Result<Made, FileError> {
        let missing = folder.ancestors().take_while(|f| !f.as_os_str().is_empty() && !f.exists());
        let missing = missing.map(Path::to_owned).collect();
        create_dir(folder)?;
        Ok(Made(missing))
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // Only an empty folder can be removed.
        self.0.iter().for_each(|folder| drop(std::fs::remove_dir(folder)));
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Writes a file through a temporary name in the same folder: written, synced, renamed.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_with(
    path: &Path,
    fill: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> Result<(), FileError> {
    let mut batch = StagedFiles::default();
    batch.stage(path, fill)?;
    batch.commit()
}

/// As [`write_with`], without waiting for the disk: for what can be made again, and tells by itself whether it is whole.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_soon(
    path: &Path,
    fill: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> Result<(), FileError> {
    let mut batch = StagedFiles::default();
    batch.hasty = true;
    batch.stage(path, fill)?;
    batch.commit()
}

/// Writes `bytes` as [`write_with`] does.
///
/// # Errors
///
/// If it cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_with(path, |w| w.write_all(bytes))
}

/// Whether a file is one that is being written, or was when its writer died.
pub fn is_part(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(PART.as_bytes()))
}

/// Removes what writers that died left in a folder: part files that nobody holds the lock of.
pub fn sweep(folder: &Path) {
    sweep_where(folder, |_| true);
}

/// The same of part files whose names are `wanted`.
fn sweep_where(folder: &Path, wanted: impl Fn(&str) -> bool) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if !is_part(&path) || !wanted(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let age = entry.metadata().and_then(|m| m.modified()).map(|t| SystemTime::now().duration_since(t));
        let old = age.is_ok_and(|age| age.is_ok_and(|age| age > INSTANT));
        let dead = || open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if old && dead() {
            // Whoever may not remove it may still use the folder.
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// A folder that one process has for itself, until this is dropped or the process ends, however it ends.
#[derive(Clone, Debug)]
pub struct Claim {
    _lock: Option<Arc<File>>,
    _made: Arc<Made>,
}

impl Claim {
    /// Claims a folder, which is made if it is not there, and sweeps it. Nothing if another process has it.
    ///
    /// # Errors
    ///
    /// If it cannot be made or locked.
    pub fn folder(folder: &Path) -> Result<Option<Claim>, FileError> {
        let made = Made::folder(folder)?;
        // Folders can be locked themselves; elsewhere nothing is claimed.
        let lock = if cfg!(unix) {
            let file = File::open(folder).map_err(FileError::reading(folder))?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                // A file system without locks.
                Err(TryLockError::Error(_)) => None,
                Ok(()) => Some(Arc::new(file)),
            }
        } else {
            None
        };
        sweep(folder);
        Ok(Some(Claim { _lock: lock, _made: Arc::new(made) }))
    }
}

/// Temporary files are private by default; what they become should have the permissions of any new file.
trait AsUsual {
    fn permissions_as_usual(&mut self) -> &mut Self;
}

impl AsUsual for tempfile::Builder<'_, '_> {
    fn permissions_as_usual(&mut self) -> &mut Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The process's umask still applies.
            self.permissions(std::fs::Permissions::from_mode(0o666));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_rubbish() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.txt");
        write(&path, b"old").unwrap();
        let error = write_with(&path, |w| {
            w.write_all(b"half of the new")?;
            Err(io::Error::other("no space"))
        });
        assert!(error.unwrap_err().to_string().contains("b.txt: no space"));
        assert_eq!(read(&path, Limit::Text).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn names_as_long_as_systems_allow_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["n".repeat(251) + ".png", "é".repeat(125) + ".csv"] {
            write(&folder.path().join(&name), b"1").unwrap();
            assert_eq!(read(&folder.path().join(&name), Limit::Text).unwrap(), b"1", "{name}");
        }
        // One more is too much, which is told before anything is written.
        let before = std::fs::read_dir(folder.path()).unwrap().count();
        let mut batch = StagedFiles::default();
        batch.stage(&folder.path().join("short"), |w| w.write_all(b"1")).unwrap();
        let error = batch.stage(&folder.path().join("n".repeat(256)), |w| w.write_all(b"1"));
        assert!(error.unwrap_err().to_string().contains("too long"));
        drop(batch);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), before);
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_folders_are_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("folder");
        std::fs::create_dir(&inside).unwrap();
        let link = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        for path in [&inside, &link, Path::new("/dev/null")] {
            assert!(write(path, b"1").unwrap_err().to_string().contains("is no file"), "{}", path.display());
        }
        assert!(inside.is_dir() && link.is_symlink());
    }

    #[test]
    fn what_a_dead_writer_left_is_removed_and_what_a_living_one_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(60);
        let aged =
            |path: &Path| File::options().append(true).open(path).unwrap().set_modified(long_ago).unwrap();
        let [dead, other] = [".a.1234.alike.part", ".a.1234.part"].map(|name| folder.path().join(name));
        for path in [&dead, &other] {
            std::fs::write(path, "half").unwrap();
            aged(path);
        }
        let mut batch = StagedFiles::default();
        batch.stage(&folder.path().join("b"), |w| w.write_all(b"1")).unwrap();
        aged(batch.staged[0].0.path());
        // Of the same file, and of another one.
        let [again, apart] =
            [".b.5678.alike.part", ".c.5678.alike.part"].map(|name| folder.path().join(name));
        sweep(folder.path());
        assert!(!dead.exists() && other.exists(), "another program's files are its own");
        for path in [&again, &apart] {
            std::fs::write(path, "half").unwrap();
            aged(path);
        }
        batch.commit().unwrap();
        assert!(!again.exists() && apart.exists(), "who writes a file removes what its dead writers left");
        assert_eq!(read(&folder.path().join("b"), Limit::Text).unwrap(), b"1");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let first = Claim::folder(&run).unwrap().unwrap();
        assert!(Claim::folder(&run).unwrap().is_none());
        drop(first);
        assert!(Claim::folder(&run).unwrap().is_some());
    }

    #[test]
    fn a_batch_that_fails_leaves_no_file_and_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a/b/one"), folder.path().join("two"));
        let fill = |batch: &mut StagedFiles, fail: bool| {
            batch.stage(&first, |w| w.write_all(b"1")).unwrap();
            batch.stage(&second, |w| if fail { Err(io::Error::other("no space")) } else { w.write_all(b"2") })
        };
        let mut batch = StagedFiles::default();
        assert!(fill(&mut batch, true).is_err());
        drop(batch);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut batch = StagedFiles::default();
        fill(&mut batch, false).unwrap();
        batch.commit().unwrap();
        let written = [first, second].map(|path| read(&path, Limit::Text).unwrap());
        assert_eq!(written, [b"1", b"2"]);
    }

    /// Each would wait, or go on, forever.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let (fifo, link) = (folder.path().join("a.txt"), folder.path().join("b.txt"));
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for (path, why) in [(&fifo, "it is a pipe"), (&link, "it is a device")] {
            let error = read_text(path).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(path.to_str().unwrap()), "{error}");
        }
        // A sparse file takes no room on disk, but would take as much memory as it says.
        let sparse = folder.path().join("c.txt");
        File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
        let error = read_text(&sparse).unwrap_err().to_string();
        assert!(error.contains("too large, 1024G") && error.contains("--limit text=1024G"), "{error}");
        // What the system makes up has a length of none.
        assert!(read_text(Path::new("/proc/self/status")).unwrap().contains("Name:"));
    }
}
