//! The test run of a model in a process of its own, as the process that starts it sees it.

use crate::contents::Contents;
use crate::error::OnnxError;
use crate::manifest::Manifest;
use crate::trial::{Answer, Request, Tried, What};
use alike::limits::Limit;
use alike::process::{BASE_MEMORY, ran_out_of_memory};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Reads and runs models that nobody knows in a process of its own, with a limit for time and one for memory: whatever a model does, this
/// process goes on.
#[derive(Clone, Debug)]
pub struct Isolation {
    /// The program to start, which calls [`crate::serve`].
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The time that a model may take.
    pub seconds: u64,
}

/// Bytes of an answer, or of what is said on standard error.
const MOST_SAID: u64 = 64 << 20;

impl Isolation {
    /// What a file says of itself.
    ///
    /// # Errors
    ///
    /// If it cannot be an image encoder, or cannot be read within the limits.
    pub fn contents(&self, model: &Path) -> Result<Contents, OnnxError> {
        match self.ask(model, What::Read)? {
            Answer::Contents(contents) => Ok(contents),
            other => Err(unexpected(model, &other)),
        }
    }

    /// Runs a model as its manifest says, on a few images.
    ///
    /// # Errors
    ///
    /// If it cannot be run within the limits, or gives no finite vectors.
    pub fn try_run(&self, model: &Path, manifest: &Manifest) -> Result<Tried, OnnxError> {
        match self.ask(model, What::Run(Box::new(manifest.clone())))? {
            Answer::Tried(tried) => Ok(tried),
            other => Err(unexpected(model, &other)),
        }
    }

    fn ask(&self, model: &Path, what: What) -> Result<Answer, OnnxError> {
        let no_process = |why| OnnxError::NoProcess { path: model.to_owned(), why };
        let file = Limit::Model.most();
        let library = crate::runtime::library();
        let memory = file.saturating_add(BASE_MEMORY);
        let request = Request { model: model.to_owned(), memory, file, library, what };
        let request = serde_json::to_vec(&request).map_err(|e| no_process(e.into()))?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(no_process)?;
        // Pipes hold little: each is served by a thread.
        let mut stdin = child.stdin.take();
        let write = thread::spawn(move || stdin.take().map(|mut pipe| pipe.write_all(&request)));
        let [out, err] = [
            child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
            child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        ]
        .map(|pipe| {
            thread::spawn(move || {
                let mut said = Vec::new();
                pipe.map(|pipe| pipe.take(MOST_SAID).read_to_end(&mut said));
                said
            })
        });
        let ended = self.wait(&mut child).map_err(no_process)?;
        // A process that ended early did not read all of it, which its answer tells.
        let _ = write.join();
        let [out, err] = [out, err].map(|thread| thread.join().unwrap_or_default());
        let Some(status) = ended else {
            return Err(OnnxError::TimedOut { path: model.to_owned(), seconds: self.seconds });
        };
        match serde_json::from_slice(&out) {
            Ok(Answer::Refused(why)) => Err(OnnxError::Refused(why)),
            Ok(answer) if status.success() => Ok(answer),
            _ => Err(died(model, status, &String::from_utf8_lossy(&err))),
        }
    }

    /// Waits until the process ends; nothing if it had to be stopped.
    fn wait(&self, child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
        let until = Instant::now() + Duration::from_secs(self.seconds);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= until {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn died(model: &Path, status: ExitStatus, said: &str) -> OnnxError {
    if ran_out_of_memory(said) {
        return OnnxError::Memory {
            path: model.to_owned(),
            limit: Limit::Model.exceeded("it takes more memory than a model may"),
        };
    }
    let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let how = last.map_or(status.to_string(), |line| format!("{status}: {line}"));
    OnnxError::Died { path: model.to_owned(), how }
}

fn unexpected(model: &Path, answer: &Answer) -> OnnxError {
    OnnxError::Died { path: model.to_owned(), how: format!("an answer to another question: {answer:?}") }
}
