//! A network in a runtime: loaded once, run an image at a time.

use crate::contents::{Contents, check, parse};
use crate::error::OnnxError;
use crate::file::ModelFile;
use crate::manifest::Manifest;
use crate::pooling::Pooling;
use crate::runtime::{self, Runtime};
use alike::guard::guarded;
use rten::ThreadPool;
use rten_onnx::onnx::{ModelProto, ValueInfoProto};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A loaded network.
pub(crate) struct Network {
    path: PathBuf,
    runtime: Box<dyn Runtime>,
    /// The output's name.
    name: String,
    shape: [usize; 4],
    pooling: Pooling,
    layout: crate::manifest::Layout,
}

/// What a runtime loads: a model with one input and the wanted output among its outputs.
pub(crate) struct Loading<'a> {
    pub(crate) path: &'a Path,
    pub(crate) proto: ModelProto,
    /// The whole file, as `proto` says it.
    pub(crate) bytes: Vec<u8>,
    /// Files beside it, by name.
    pub(crate) external: BTreeMap<String, Vec<u8>>,
    pub(crate) input: &'a str,
    pub(crate) output: &'a str,
}

/// A thread of its own, in which a network computes: what it computes does not depend on how many there are.
pub(crate) struct OneThread(Arc<ThreadPool>);

impl OneThread {
    pub(crate) fn new() -> OneThread {
        OneThread(Arc::new(ThreadPool::with_num_threads(1)))
    }

    /// Works in the thread.
    pub(crate) fn work<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.0.run(work)
    }
}

impl Network {
    /// Loads a network whose file was compared with its manifest.
    ///
    /// A panic of the runtime is an error. A loop without end is not: only files that were tried should come here.
    pub(crate) fn load(file: ModelFile, manifest: &Manifest) -> Result<Network, OnnxError> {
        let path = file.path.clone();
        let load = || guarded(|| Network::load_unguarded(file, manifest));
        // In a thread where the guard holds for all that the runtime does.
        OneThread::new().work(load).unwrap_or(Err(OnnxError::Panicked(path)))
    }

    fn load_unguarded(file: ModelFile, manifest: &Manifest) -> Result<Network, OnnxError> {
        let ModelFile { path, bytes, external } = file;
        let mut proto = parse(&path, &bytes)?;
        check(&path, &proto)?;
        let contents = Contents::of(&proto);
        if let Some(name) = contents.external_data.iter().find(|name| !external.contains_key(*name)) {
            let file = path.with_file_name(name);
            return Err(OnnxError::ExternalData {
                path,
                file,
                why: "the manifest does not name it".to_owned(),
            });
        }
        // One input, or the check would have refused it.
        let input = contents.inputs[0].clone();
        let shape = manifest.preparation.input();
        if let Some(takes) = &input.shape
            && takes.iter().zip(shape).any(|(takes, makes)| takes.is_some_and(|takes| takes != makes))
        {
            let makes = shape.map(|n| n.to_string()).join(" x ");
            return Err(OnnxError::InputShape {
                path,
                input: input.name.clone(),
                takes: input.sentence(),
                makes,
            });
        }
        let name = manifest.output.clone();
        let bytes = if contents.outputs.iter().any(|o| o.name == name) {
            bytes
        } else if contents.values.iter().any(|v| v.name == name) {
            // The runtime keeps outputs alone through its rewrites of the graph.
            let value = ValueInfoProto { name: Some(name.clone()), r#type: None };
            proto.graph.get_or_insert_default().output.push(value);
            let written = proto.write_buf();
            written.map_err(|e| OnnxError::Damaged { path: path.clone(), why: e.to_string() })?
        } else {
            return Err(OnnxError::no_output(&path, &contents, &name));
        };
        let loading = Loading { path: &path, proto, bytes, external, input: &input.name, output: &name };
        let runtime = runtime::load(loading)?;
        let (pooling, layout) = (manifest.pooling, manifest.preparation.layout);
        Ok(Network { path, runtime, name, shape, pooling, layout })
    }

    /// An error of running it.
    pub(crate) fn failed(&self, why: String) -> OnnxError {
        OnnxError::Run { path: self.path.clone(), why }
    }

    /// The vector of one image, whose input is given: as it comes out of the pooling. `picture` is what an error calls it.
    pub(crate) fn run(
        &self,
        thread: &OneThread,
        input: Vec<f32>,
        picture: impl FnOnce() -> String,
    ) -> Result<Vec<f32>, OnnxError> {
        let path = || self.path.clone();
        let ran = guarded(|| self.runtime.run(&thread.0, self.shape, input));
        let output = ran.ok_or_else(|| OnnxError::Panicked(path()))?.map_err(|why| self.failed(why))?;
        let Some((shape, values)) = output else {
            return Err(OnnxError::OutputType { path: path(), output: self.name.clone() });
        };
        let Some(vector) = self.pooling.apply(&shape, &values, self.layout) else {
            let (pooling, fits) = (self.pooling.name(), Pooling::fits(&shape));
            return Err(OnnxError::OutputRank {
                path: path(),
                output: self.name.clone(),
                shape,
                pooling,
                fits,
            });
        };
        if vector.iter().all(|v| v.is_finite()) {
            Ok(vector)
        } else {
            Err(OnnxError::NotFinite { path: path(), output: self.name.clone(), picture: picture() })
        }
    }
}
