//! Downloads a file of the hub: resumed where it was stopped, checked by the SHA-256 that the hub names, and only then given its name.

use super::{Hub, HubError, HubFile};
use crate::file::hex;
use alike::data::{Progress, Unit};
use alike::files::{self, FileError};
use alike::limits::Limit;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::Agent;
use ureq::http::{Response, header};

const ENDED: &str = "the connection ended before the file did";
const GOES_ON: &str = "the same command goes on where it stopped";

/// What the hub says of a file before it sends it.
struct Said {
    commit: String,
    sha256: String,
    len: Option<u64>,
}

pub(super) fn download(hub: &Hub, file: &HubFile, progress: &mut dyn Progress) -> Result<PathBuf, HubError> {
    let HubFile { repository, revision, file: name } = file;
    let url = format!("{}/{repository}/resolve/{revision}/{}", hub.endpoint, name.replace(' ', "%20"));
    let http = |why: String| HubError::Http { file: file.clone(), url: url.clone(), why };
    let said = ask(hub, file, &url)?;
    let what = || format!("{name} is too large");
    let len = said.len.unwrap_or(0);
    Limit::Model
        .check(len, what)
        .map_err(|error| HubError::Limit { file: file.clone(), error: Box::new(error) })?;
    let blob = hub.cache.blob(file, &said.sha256);
    if !blob.is_file() {
        let part = blob.with_extension("incomplete");
        if let Some(folder) = part.parent() {
            files::create_dir(folder)?;
        }
        let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&part);
        let mut into = open.map_err(FileError::writing(&part))?;
        into.try_lock().map_err(|_| HubError::Busy(file.clone()))?;
        // What is sent is bounded, whatever was announced.
        let most = said.len.unwrap_or(Limit::Model.most());
        progress.begin(name, said.len, Unit::Bytes);
        let received = receive(hub, &url, &mut into, most, progress);
        progress.end();
        received.map_err(http)?;
        let got = sha256_of(&mut into).map_err(FileError::reading(&part))?;
        if got != said.sha256 {
            let _ = std::fs::remove_file(&part);
            return Err(HubError::Sum { file: file.clone(), got, expected: said.sha256 });
        }
        into.sync_all().map_err(FileError::writing(&part))?;
        std::fs::rename(&part, &blob).map_err(FileError::writing(&blob))?;
    }
    hub.cache.name(file, &said.commit, Path::new(&blob))
}

fn agent(redirects: u32) -> Agent {
    Agent::new_with_config(
        Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_recv_response(Some(Duration::from_secs(30)))
            .max_redirects(redirects)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .build(),
    )
}

/// What the hub says of a file. Where the file lies elsewhere, this is said by the answer that sends there.
fn ask(hub: &Hub, file: &HubFile, url: &str) -> Result<Said, HubError> {
    let http = |why: String| HubError::Http { file: file.clone(), url: url.to_owned(), why };
    let mut request = agent(0).head(url).header("Accept-Encoding", "identity");
    if let Some(token) = &hub.token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let answer = request.call().map_err(|e| http(e.to_string()))?;
    let status = answer.status().as_u16();
    if status >= 400 {
        return Err(match status {
            401 | 403 | 404 => HubError::Refused { file: file.clone(), status },
            _ => http(format!("the hub answers {status}")),
        });
    }
    let text = |name: &str| header_of(&answer, name);
    let commit =
        text("x-repo-commit").ok_or_else(|| http("no hub answers there: it names no commit".to_owned()))?;
    let is_name = |t: &str| !t.is_empty() && t.len() <= 64 && t.chars().all(|c| c.is_ascii_alphanumeric());
    if !is_name(&commit) {
        return Err(http(format!("'{commit}' is no commit")));
    }
    let sum = text("x-linked-etag").or_else(|| text("etag")).unwrap_or_default();
    let sum = sum.trim_start_matches("W/").trim_matches('"').to_ascii_lowercase();
    if sum.len() != 64 || !sum.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(HubError::NoSum(file.clone()));
    }
    let len = text("x-linked-size").or_else(|| text("content-length").filter(|_| status == 200));
    Ok(Said { commit, sha256: sum, len: len.and_then(|l| l.parse().ok()) })
}

fn header_of<B>(answer: &Response<B>, name: &str) -> Option<String> {
    answer.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// Reads what is missing at the end of a file.
fn receive(
    hub: &Hub,
    url: &str,
    into: &mut File,
    most: u64,
    progress: &mut dyn Progress,
) -> Result<(), String> {
    let text = |e: io::Error| e.to_string();
    let mut there = into.metadata().map_err(text)?.len();
    if there >= most && most > 0 {
        // It is all there, or more than that, which cannot be it.
        if there > most {
            into.set_len(0).map_err(text)?;
            there = 0;
        } else {
            return Ok(());
        }
    }
    let mut request = agent(10).get(url).header("Accept-Encoding", "identity");
    if let Some(token) = &hub.token {
        // Not passed on to where the hub sends.
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if there > 0 {
        request = request.header(header::RANGE, format!("bytes={there}-"));
    }
    let mut answer = request.call().map_err(|e| e.to_string())?;
    match answer.status().as_u16() {
        206 => {}
        200 => {
            into.set_len(0).map_err(text)?;
            there = 0;
        }
        status => return Err(format!("the server answers {status}")),
    }
    progress.advance(there);
    into.seek(SeekFrom::Start(there)).map_err(text)?;
    let mut body = answer.body_mut().with_config().limit(u64::MAX).reader();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = body.read(&mut buffer).map_err(|e| format!("{ENDED} ({e}); {GOES_ON}"))?;
        if n == 0 {
            break;
        }
        there += n as u64;
        if there > most {
            return Err("more was sent than was announced".to_owned());
        }
        into.write_all(&buffer[..n]).map_err(text)?;
        progress.advance(n as u64);
    }
    if there < most && most != Limit::Model.most() {
        return Err(format!("{ENDED}; {GOES_ON}"));
    }
    Ok(())
}

fn sha256_of(file: &mut File) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut hash = hmac_sha256::Hash::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&buffer[..n]);
    }
}
