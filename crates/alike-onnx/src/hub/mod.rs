//! Encoders from the Hugging Face Hub: by name, or by the address of a file.
//!
//! Files are kept where the hub's own tools keep them, and found there: `HF_HUB_CACHE`, or `HF_HOME/hub`, or `huggingface/hub` in the user's cache
//! folder, in the layout that <https://huggingface.co/docs/huggingface_hub/guides/manage-cache> describes. `HF_ENDPOINT` names another hub,
//! `HF_HUB_OFFLINE` forbids the network, `HF_TOKEN` is sent to the hub alone. A file is taken only if its content has the SHA-256 that the hub
//! names.

mod address;
mod cache;
mod download;
mod known;

pub use address::HubFile;
pub use known::{KNOWN_ENCODERS, KnownEncoder};

use alike::data::Progress;
use alike::files::FileError;
use alike::limits::LimitError;
use cache::HubCache;
use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};
use std::path::{Path, PathBuf};

/// A file cannot be had from the hub.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// No address.
    #[error(
        "'{0}' is no address of a file on the hub; write hf:OWNER/REPO/FILE, or hf:OWNER/REPO@REVISION/FILE"
    )]
    Address(String),
    /// It is not here, and the network is not to be asked.
    #[error(
        "{file} is not in {}, and the network is not to be asked (--offline or HF_HUB_OFFLINE); bring the file {} of {} and run alike \
         encoders add on it", cache.display(), file.file, file.repository
    )]
    Offline {
        /// What was asked for.
        file: HubFile,
        /// Where it was looked for.
        cache: PathBuf,
    },
    /// The hub does not answer, or not as a hub does.
    #[error("{file} cannot be downloaded: {url}: {why}; bring the file {} of {} and run alike encoders add on it", file.file, file.repository)]
    Http {
        /// What was asked for.
        file: HubFile,
        /// The address.
        url: String,
        /// What went wrong.
        why: String,
    },
    /// The hub has no such file, or does not show it.
    #[error(
        "{file}: the hub answers {status}: there is no such file, or it is shown only to those who accepted its licence; then set HF_TOKEN"
    )]
    Refused {
        /// What was asked for.
        file: HubFile,
        /// The status code.
        status: u16,
    },
    /// The hub names no SHA-256.
    #[error(
        "{0}: the hub names no SHA-256 of it, so it could not be checked; download it by hand and run alike encoders add on it"
    )]
    NoSum(HubFile),
    /// What came is something else.
    #[error("{file}: its SHA-256 is {got} rather than {expected}, as the hub says; nothing of it is kept")]
    Sum {
        /// What was asked for.
        file: HubFile,
        /// What came.
        got: String,
        /// What should have come.
        expected: String,
    },
    /// Another process is at it.
    #[error("{0} is being downloaded by another process; wait for it")]
    Busy(HubFile),
    /// It is too large.
    #[error("{file}: {error}")]
    Limit {
        /// What was asked for.
        file: HubFile,
        /// What it asks for.
        error: Box<LimitError>,
    },
    /// A file of the cache cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no folder for it.
    #[error("this system names no cache folder; set HF_HOME")]
    NoFolder,
}

/// A hub, and the folder in which its files are kept.
#[derive(Clone, Debug)]
pub struct Hub {
    endpoint: String,
    token: Option<String>,
    offline: bool,
    cache: HubCache,
}

impl Hub {
    /// The hub that the environment names, or the public one.
    ///
    /// # Errors
    ///
    /// If there is no folder for its files.
    pub fn from_env(offline: bool) -> Result<Hub, HubError> {
        let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let usual = || Some(choose_native_strategy().ok()?.cache_dir().join("huggingface").join("hub"));
        let cache =
            folder("HF_HUB_CACHE").or_else(|| folder("HF_HOME").map(|home| home.join("hub"))).or_else(usual);
        let is_yes = |v: String| ["1", "true", "yes", "on"].contains(&v.to_ascii_lowercase().as_str());
        Ok(Hub {
            endpoint: set("HF_ENDPOINT").map_or_else(
                || "https://huggingface.co".to_owned(),
                |url| url.trim_end_matches('/').to_owned(),
            ),
            token: set("HF_TOKEN"),
            offline: offline || set("HF_HUB_OFFLINE").is_some_and(is_yes),
            cache: HubCache::new(cache.ok_or(HubError::NoFolder)?),
        })
    }

    /// Where its files are kept.
    pub fn folder(&self) -> &Path {
        self.cache.folder()
    }

    /// A file, from the folder if it is there, or from the hub. A download that was stopped goes on where it was.
    ///
    /// # Errors
    ///
    /// If it is not there and cannot be downloaded, or is not what the hub says.
    pub fn fetch(&self, file: &HubFile, progress: &mut dyn Progress) -> Result<PathBuf, HubError> {
        if let Some(path) = self.cache.find(file) {
            return Ok(path);
        }
        if self.offline {
            return Err(HubError::Offline { file: file.clone(), cache: self.cache.folder().to_owned() });
        }
        download::download(self, file, progress)
    }
}
