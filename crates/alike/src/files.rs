//! Writing files so that a reader sees the whole of the old or the whole of the new, whatever happens between.

use crate::limits::Limit;
use std::fs::{File, FileType};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

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
pub fn open_sized(path: &Path) -> io::Result<(File, u64)> {
    // Before it is opened: opening a pipe waits already.
    let facts = std::fs::metadata(path)?;
    match strange(facts.file_type()) {
        Some(kind) => Err(io::Error::other(format!("it is {kind}, not a file"))),
        None => Ok((File::open(path)?, facts.len())),
    }
}

/// Opens a file for reading.
pub fn open(path: &Path) -> Result<File, FileError> {
    open_sized(path).map(|(file, _)| file).map_err(FileError::reading(path))
}

/// Reads a whole file, if it is not larger than the limit.
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
pub fn read_text(path: &Path) -> Result<String, FileError> {
    text(path, Limit::Text)
}

/// Reads a text file that has a line for every image or step.
pub fn read_lines(path: &Path) -> Result<String, FileError> {
    text(path, Limit::Array)
}

fn text(path: &Path, limit: Limit) -> Result<String, FileError> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "it is no text: it is not valid UTF-8");
    String::from_utf8(read(path, limit)?).map_err(|_| FileError::reading(path)(wrong()))
}

/// Reads as many bytes as `into` holds, from position `at` on; other readers of the file are not disturbed.
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
pub fn create_dir(path: &Path) -> Result<(), FileError> {
    std::fs::create_dir_all(path).map_err(FileError::with("create", path))
}

/// Files that appear together: each is written under a temporary name and synced, and all are renamed by
/// [`Batch::commit`]. A batch that is dropped before leaves no file and no folder behind.
#[derive(Debug, Default)]
pub struct Batch {
    staged: Vec<(NamedTempFile, PathBuf)>,
    /// Folders that were made for files, outermost first.
    made: Vec<PathBuf>,
    /// Whether files are renamed before the disk has them.
    hasty: bool,
}

impl Batch {
    /// Writes what will be the file at `path`.
    pub fn stage(
        &mut self,
        path: &Path,
        fill: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let folder = folder_of(path);
        let missing = folder.ancestors().take_while(|f| !f.as_os_str().is_empty() && !f.exists());
        let missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        create_dir(folder)?;
        self.made.extend(missing.into_iter().rev());
        let hasty = self.hasty;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let attempt = || -> io::Result<NamedTempFile> {
            let temporary = tempfile::Builder::new()
                .prefix(&format!(".{name}."))
                .suffix(".part")
                .permissions_as_usual()
                .tempfile_in(folder)
                // The whole message would name the temporary file, which tells a reader nothing.
                .map_err(|e| io::Error::from(e.kind()))?;
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
    pub fn commit(mut self) -> Result<(), FileError> {
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

impl Drop for Batch {
    fn drop(&mut self) {
        self.staged.clear();
        // Only an empty folder can be removed: after a commit this does nothing.
        for folder in self.made.iter().rev() {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Writes a file through a temporary name in the same folder: written, synced, renamed.
pub fn write_with(
    path: &Path,
    fill: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> Result<(), FileError> {
    let mut batch = Batch::default();
    batch.stage(path, fill)?;
    batch.commit()
}

/// As [`write_with`], without waiting for the disk: for what can be made again, and tells by itself whether it is whole.
pub fn write_soon(
    path: &Path,
    fill: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> Result<(), FileError> {
    let mut batch = Batch::default();
    batch.hasty = true;
    batch.stage(path, fill)?;
    batch.commit()
}

/// Writes `bytes` as [`write_with`] does.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_with(path, |w| w.write_all(bytes))
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
    fn a_batch_that_fails_leaves_no_file_and_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a/b/one"), folder.path().join("two"));
        let fill = |batch: &mut Batch, fail: bool| {
            batch.stage(&first, |w| w.write_all(b"1")).unwrap();
            batch.stage(&second, |w| if fail { Err(io::Error::other("no space")) } else { w.write_all(b"2") })
        };
        let mut batch = Batch::default();
        assert!(fill(&mut batch, true).is_err());
        drop(batch);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut batch = Batch::default();
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
