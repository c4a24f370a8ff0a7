//! ONNX Runtime, from a library that the user names: code that somebody chose, and never one that happens to be found.

use super::{Output, Runtime};
use crate::error::OnnxError;
use crate::network::Loading;
use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;
use rten::ThreadPool;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The library that this process uses.
static CHOSEN: OnceLock<Library> = OnceLock::new();

/// A loaded library.
pub(super) struct Library {
    path: PathBuf,
    environment: Environment,
    name: String,
}

/// Runs all networks that this process opens from now on by an ONNX Runtime: `library` is the path of a `libonnxruntime`, of a recent version (1.32 is tested, 1.22 aborts on some machines). It
/// is loaded into this process and trusted as the program itself is. Once a process, for all: a second library is refused.
///
/// # Errors
///
/// If it cannot be loaded, or another one was.
pub fn use_onnx_runtime(library: &Path) -> Result<(), OnnxError> {
    let failed = |why: String| OnnxError::Library { path: library.to_owned(), why };
    // The loader would look for a relative path elsewhere.
    let path = library.canonicalize().map_err(|e| failed(e.to_string()))?;
    if let Some(chosen) = CHOSEN.get() {
        let other = || failed(format!("{} was loaded already", chosen.path.display()));
        return if chosen.path == path { Ok(()) } else { Err(other()) };
    }
    let environment = ort::init_from(&path).map_err(|e| failed(e.to_string()))?;
    let environment = environment.with_telemetry(false).build().map_err(|e| failed(e.to_string()))?;
    let name = name(&path, ort::info());
    // Of two threads that load one at the same time, the first counts.
    let _ = CHOSEN.set(Library { path, environment, name });
    Ok(())
}

pub(super) fn chosen() -> Option<&'static Library> {
    CHOSEN.get()
}

/// `ONNX Runtime 1.22.0`, by the version in a file's name, or by the commit that it was built from.
fn name(path: &Path, built: &str) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let version: Vec<&str> = file.split('.').filter(|part| part.parse::<u32>().is_ok()).collect();
    let commit = built.split("git-commit-id=").nth(1).and_then(|rest| rest.split([',', ' ']).next());
    match (version.is_empty(), commit) {
        (false, _) => format!("ONNX Runtime {}", version.join(".")),
        (true, Some(commit)) => format!("ONNX Runtime of commit {commit}"),
        (true, None) => "ONNX Runtime".to_owned(),
    }
}

impl Library {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn load(&'static self, loading: Loading<'_>) -> Result<OnnxRuntime, OnnxError> {
        let Loading { path, bytes, external, input, output, .. } = loading;
        let (input, output) = (input.to_owned(), output.to_owned());
        let external = external.into_iter().map(|(name, bytes)| (name, bytes.into())).collect();
        let network = OnnxRuntime { library: self, bytes, external, input, output, idle: Mutex::default() };
        let first = network.session().map_err(|why| OnnxError::Load { path: path.to_owned(), why })?;
        network.idle().push(first);
        Ok(network)
    }
}

/// A network, with a session for each thread that runs it: a session serves one at a time.
pub(super) struct OnnxRuntime {
    library: &'static Library,
    bytes: Vec<u8>,
    external: BTreeMap<String, Arc<[u8]>>,
    input: String,
    output: String,
    idle: Mutex<Vec<Session>>,
}

impl OnnxRuntime {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self) -> Result<Session, String> {
        let said = |e: &dyn std::fmt::Display| e.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let builder = Session::builder(&self.library.environment).map_err(|e| said(&e))?;
        let builder = builder.with_intra_threads(1).map_err(|e| said(&e))?;
        let builder = builder.with_inter_threads(1).map_err(|e| said(&e))?;
        let builder = builder.with_optimization_level(GraphOptimizationLevel::All).map_err(|e| said(&e))?;
        let mut builder = builder.with_deterministic_compute(true).map_err(|e| said(&e))?;
        for (name, bytes) in &self.external {
            builder = builder
                .with_external_initializer_file_in_memory(name, bytes.clone())
                .map_err(|e| said(&e))?;
        }
        builder.commit_from_memory(&self.bytes).map_err(|e| said(&e))
    }
}

impl Runtime for OnnxRuntime {
    fn run(&self, _: &Arc<ThreadPool>, shape: [usize; 4], input: Vec<f32>) -> Result<Option<Output>, String> {
        let idle = self.idle().pop();
        let mut session = idle.map_or_else(|| self.session(), Ok)?;
        let tensor = TensorRef::from_array_view((shape, &input[..])).map_err(|e| e.to_string())?;
        let output = {
            let outputs =
                session.run(ort::inputs![self.input.as_str() => tensor]).map_err(|e| e.to_string())?;
            let value = outputs.get(self.output.as_str()).ok_or("the output is missing")?;
            let sizes =
                |shape: &ort::value::Shape| shape.iter().map(|n| usize::try_from(*n).unwrap_or(0)).collect();
            value.try_extract_tensor::<f32>().ok().map(|(shape, values)| (sizes(shape), values.to_vec()))
        };
        self.idle().push(session);
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_a_files_name() {
        let built = "ORT Build Info: git-branch=main, git-commit-id=26250ae, build type=Release";
        for (file, said) in [
            ("libonnxruntime.so.1.32.0", "ONNX Runtime 1.32.0"),
            ("libonnxruntime.1.22.1.dylib", "ONNX Runtime 1.22.1"),
            ("onnxruntime.dll", "ONNX Runtime of commit 26250ae"),
        ] {
            assert_eq!(name(Path::new(file), built), said);
        }
    }

    #[test]
    fn what_is_no_library_is_refused() {
        let text = use_onnx_runtime(Path::new("no/such/library.so")).unwrap_err().to_string();
        assert!(text.contains("no/such/library.so"), "{text}");
        let text = use_onnx_runtime(Path::new(file!())).unwrap_err().to_string();
        assert!(text.contains("onnx_runtime.rs"), "{text}");
        assert!(chosen().is_none());
    }
}
