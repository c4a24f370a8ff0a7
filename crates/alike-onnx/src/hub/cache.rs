//! The hub's folder of files: `models--OWNER--REPO` with `refs/REVISION` (the commit that it was), `blobs/SHA256` and
//! `snapshots/COMMIT/FILE`, a link to its blob.

use super::{HubError, HubFile};
use alike::files::{self, FileError};
use std::path::{Path, PathBuf};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct HubCache {
    folder: PathBuf,
}

impl HubCache {
    pub(super) fn new(folder: PathBuf) -> HubCache {
        HubCache { folder }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn repository(&self, file: &HubFile) -> PathBuf {
        self.folder.join(format!("models--{}", file.repository.replace('/', "--")))
    }

    /// The file, if it is there whole.
    pub(super) fn find(&self, file: &HubFile) -> Option<PathBuf> {
        let repository = self.repository(file);
        let commit = files::read_text(&repository.join("refs").join(&file.revision));
        // A revision that is a commit has no reference.
        let commit = commit.map_or_else(|_| file.revision.clone(), |text| text.trim().to_owned());
        let is_name =
            !commit.is_empty() && commit.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        let path = repository.join("snapshots").join(&commit).join(&file.file);
        (is_name && !commit.starts_with('.') && path.is_file()).then_some(path)
    }

    /// Where the content of this SHA-256 lies or will lie.
    pub(super) fn blob(&self, file: &HubFile, sha256: &str) -> PathBuf {
        self.repository(file).join("blobs").join(sha256)
    }

    /// Gives a blob its name in a commit, and the revision its commit.
    pub(super) fn name(&self, file: &HubFile, commit: &str, blob: &Path) -> Result<PathBuf, HubError> {
        let path = self.repository(file).join("snapshots").join(commit).join(&file.file);
        let folder = path.parent().unwrap_or(&self.folder);
        files::create_dir(folder)?;
        if !path.is_file() {
            // What is left of a link that leads nowhere.
            let _ = std::fs::remove_file(&path);
            link(blob, &path, file).map_err(FileError::writing(&path))?;
        }
        if file.revision != commit {
            files::write(&self.repository(file).join("refs").join(&file.revision), commit.as_bytes())?;
        }
        Ok(path)
    }
}

/// A link as the hub's tools make it, relative to the snapshot; elsewhere the file gets a second name.
fn link(blob: &Path, path: &Path, file: &HubFile) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let up = "../".repeat(2 + file.file.matches('/').count());
        let name = blob.file_name().unwrap_or_default();
        std::os::unix::fs::symlink(Path::new(&format!("{up}blobs")).join(name), path)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        std::fs::hard_link(blob, path)
    }
}
