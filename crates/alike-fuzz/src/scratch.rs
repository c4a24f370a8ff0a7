//! Files of an input.

use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

/// What sets the files of an input apart, where a target is of several.
pub(crate) const MARK: &[u8] = b"\n%%%%\n";

/// The files of an input, as many as there should be; those that it leaves out are empty.
pub(crate) fn parts<const N: usize>(mut bytes: &[u8]) -> [&[u8]; N] {
    let mut parts = [&[][..]; N];
    for (i, part) in parts.iter_mut().enumerate() {
        let end = bytes.windows(MARK.len()).position(|w| w == MARK).filter(|_| i + 1 < N);
        *part = &bytes[..end.unwrap_or(bytes.len())];
        bytes = end.map_or(&[], |end| &bytes[end + MARK.len()..]);
    }
    parts
}

/// Which of `n` ways an input goes at a fork: it follows from its bytes and the fork's name alone. One way is enough for an input, because
/// inputs like it go the others.
pub(crate) fn way(fork: &str, bytes: &[u8], n: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(fork.as_bytes());
    hasher.write(bytes);
    hasher.finish() % n
}

/// Whether an input is tried as it is, beside what it is with sums and lengths put right: always where there is nothing to put right, and
/// otherwise seldom, for most such inputs are refused at once, or made anew, which takes longest.
pub(crate) fn as_it_is(bytes: &[u8], repaired: &[u8]) -> bool {
    bytes == repaired || way("as it is", bytes, 8) == 0
}

/// Several files as one input.
pub(crate) fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.join(MARK)
}

/// A folder that is gone when it is dropped.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        Scratch(tempfile::tempdir().unwrap_or_else(|e| panic!("no temporary folder: {e}")))
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, and the folders that it lies in.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.at(name);
        let parent = path.parent().unwrap_or(self.folder());
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, bytes));
        written.unwrap_or_else(|e| panic!("{} cannot be written: {e}", path.display()));
        path
    }
}
