//! Writing files so that a reader sees the whole of the old or the whole of the new, whatever happens between.

use std::fs::File;
use std::io::{self, BufWriter, Write};
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

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(path).map_err(FileError::reading(path))
}

/// Reads a whole text file.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    std::fs::read_to_string(path).map_err(FileError::reading(path))
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
        assert_eq!(read(&path).unwrap(), b"old");
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
        assert_eq!((read(&first).unwrap(), read(&second).unwrap()), (b"1".to_vec(), b"2".to_vec()));
    }
}
