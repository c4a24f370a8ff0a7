//! A network in the runtime: loaded once, run an image at a time.

use crate::contents::{Contents, check, operator, opset, parse};
use crate::error::OnnxError;
use crate::file::ModelFile;
use crate::manifest::Manifest;
use crate::pooling::Pooling;
use alike::guard::guarded;
use rten::{LoadErrorKind, Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value};
use rten_onnx::onnx::{ModelProto, ValueInfoProto};
use rten_tensor::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A loaded network.
pub(crate) struct Network {
    path: PathBuf,
    model: Model,
    input: NodeId,
    output: NodeId,
    name: String,
    shape: [usize; 4],
    pooling: Pooling,
    layout: crate::manifest::Layout,
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
        let Operators { of_nodes, own } = Operators::of(&proto);
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
        drop(proto);
        let mut options = ModelOptions::with_all_ops();
        options.prepack_weights(true);
        for (name, bytes) in external {
            options.external_data(&name, bytes);
        }
        let model = options.load(bytes).map_err(|e| {
            let why = e.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            let node = e.node().unwrap_or_default();
            match of_nodes.get(node) {
                Some((operator, opset)) if e.kind() == LoadErrorKind::OperatorInvalid => {
                    let unknown = why.contains("operator not");
                    let said = why.rsplit_once("\": ").map_or(why.as_str(), |(_, said)| said);
                    OnnxError::Operator {
                        path: path.clone(),
                        operator: operator.clone(),
                        opset: *opset,
                        node: node.to_owned(),
                        why: if unknown { String::new() } else { format!(" in this form ({said})") },
                    }
                }
                _ => OnnxError::Load { path: path.clone(), why: format!("{why} (opset {own})") },
            }
        })?;
        let found = |name: &str| {
            model.find_node(name).ok_or_else(|| OnnxError::Load {
                path: path.clone(),
                why: format!("'{name}' is not among what it computes"),
            })
        };
        let (input, output) = (found(&input.name)?, found(&name)?);
        let (pooling, layout) = (manifest.pooling, manifest.preparation.layout);
        Ok(Network { path, model, input, output, name, shape, pooling, layout })
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
        let options = RunOptions::default().with_thread_pool(Some(thread.0.clone()));
        let ran = guarded(|| {
            let input = Value::from_shape(self.shape, input).map_err(|e| e.to_string())?;
            let inputs = vec![(self.input, input.into())];
            let [value] =
                self.model.run_n(inputs, [self.output], Some(options)).map_err(|e| e.to_string())?;
            Ok(value)
        });
        let value = ran.ok_or_else(|| OnnxError::Panicked(path()))?.map_err(|why| self.failed(why))?;
        let output = || self.name.clone();
        let Some(tensor) = value.into_tensor::<f32>() else {
            return Err(OnnxError::OutputType { path: path(), output: output() });
        };
        let (shape, values) = (tensor.shape().to_vec(), tensor.to_vec());
        let Some(vector) = self.pooling.apply(&shape, &values, self.layout) else {
            let (pooling, fits) = (self.pooling.name(), Pooling::fits(&shape));
            return Err(OnnxError::OutputRank { path: path(), output: output(), shape, pooling, fits });
        };
        if vector.iter().all(|v| v.is_finite()) {
            Ok(vector)
        } else {
            Err(OnnxError::NotFinite { path: path(), output: output(), picture: picture() })
        }
    }
}

/// What nodes compute by, for errors.
struct Operators {
    /// By node: its operator, and the version of the operator's set.
    of_nodes: BTreeMap<String, (String, i64)>,
    /// The version of ONNX's own set.
    own: i64,
}

impl Operators {
    fn of(model: &ModelProto) -> Operators {
        let named = |n: &rten_onnx::onnx::NodeProto| {
            Some((n.name.clone()?, (operator(n), opset(model, n.domain.as_deref()))))
        };
        let nodes = model.graph.iter().flat_map(|g| &g.node);
        Operators { of_nodes: nodes.filter_map(named).collect(), own: opset(model, None) }
    }
}
