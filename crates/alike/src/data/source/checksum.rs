//! Checksums of published files.

use crate::data::DataError;
use crate::files::FileError;
use hmac_sha256::Hash;
use std::path::Path;

/// A file's SHA-256.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sum {
    /// Of the content, however it is compressed.
    Content(&'static str),
    /// Of the `.gz` file as published; it can only be checked when that very file is downloaded.
    Packed(
        #[cfg_attr(not(feature = "download"), expect(dead_code, reason = "nothing is downloaded"))]
        &'static str,
    ),
}

/// The SHA-256 of a file's content, unpacked where its name ends in `.gz`.
pub(super) fn content_sum(path: &Path) -> Result<String, DataError> {
    let file = crate::files::open(path)?;
    let mut hash = SumWriter::default();
    let copied = if path.extension().is_some_and(|e| e == "gz") {
        std::io::copy(&mut flate2::read::MultiGzDecoder::new(std::io::BufReader::new(file)), &mut hash)
    } else {
        std::io::copy(&mut std::io::BufReader::new(file), &mut hash)
    };
    copied.map_err(FileError::reading(path))?;
    Ok(hash.hex())
}

/// Hashes what is written to it.
#[derive(Default)]
pub(super) struct SumWriter(Hash);

impl SumWriter {
    pub(super) fn hex(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::io::Write for SumWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
