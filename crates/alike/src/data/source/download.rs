//! One file from one URL: streamed to a temporary name, checked, then renamed.

use super::checksum::{Sum, SumWriter};
use crate::data::{Progress, Unit};
use crate::files;
use flate2::read::MultiGzDecoder;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

/// Larger than any file of a named set: a server cannot fill the disk.
const MOST_BYTES: u64 = 256 << 20;

/// Why a mirror did not serve.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{url}: {why}")]
    Http { url: String, why: String },
    #[error("{url}: its SHA-256 is {got} rather than the published {expected}")]
    Sum { url: String, got: String, expected: &'static str },
    #[error(transparent)]
    File(#[from] files::FileError),
}

/// Downloads `url` to `path`. Whatever stops it, `path` is either the whole checked file or as it was.
pub(super) fn fetch(url: &str, path: &Path, sum: Sum, progress: &mut dyn Progress) -> Result<(), FetchError> {
    let http = |why: String| FetchError::Http { url: url.to_owned(), why };
    path.parent().into_iter().for_each(files::sweep);
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_recv_response(Some(Duration::from_secs(30)))
            .timeout_global(Some(Duration::from_secs(1800)))
            .build(),
    );
    let mut response = agent.get(url).call().map_err(|e| http(e.to_string()))?;
    let total = response.body().content_length();
    progress.begin(&path.file_name().unwrap_or_default().to_string_lossy(), total, Unit::Bytes);
    let mut packed = SumWriter::default();
    let mut body = response.body_mut().with_config().limit(MOST_BYTES).reader();
    let mut wrong = None;
    let written = files::write_with(path, |out| {
        let mut bytes = 0;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = body.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            packed.write_all(&buffer[..n])?;
            out.write_all(&buffer[..n])?;
            bytes += n as u64;
            progress.advance(n as u64);
        }
        if total.is_some_and(|total| total != bytes) {
            return Err(io::Error::other("the connection ended before the file did"));
        }
        if let Sum::Packed(expected) = sum {
            let got = std::mem::take(&mut packed).hex();
            if got != expected {
                wrong = Some((got, expected));
                return Err(io::Error::other("checksum"));
            }
        }
        Ok(())
    });
    progress.end();
    if let Some((got, expected)) = wrong {
        return Err(FetchError::Sum { url: url.to_owned(), got, expected });
    }
    written.map_err(|e| http(e.why.to_string()))?;
    if let Sum::Content(expected) = sum {
        let mut content = SumWriter::default();
        let file = files::open(path)?;
        let unpacked =
            io::copy(&mut MultiGzDecoder::new(io::BufReader::new(file)).take(MOST_BYTES), &mut content);
        let got = content.hex();
        if unpacked.is_err() || got != expected {
            let _ = std::fs::remove_file(path);
            return Err(FetchError::Sum { url: url.to_owned(), got, expected });
        }
    }
    Ok(())
}
