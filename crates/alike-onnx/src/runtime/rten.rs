//! rten: pure Rust, a part of this crate.

use super::{Output, Runtime};
use crate::contents::{operator, opset};
use crate::error::OnnxError;
use crate::network::Loading;
use rten::{LoadErrorKind, Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value};
use rten_onnx::onnx::{ModelProto, NodeProto};
use rten_tensor::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The version that Cargo.toml asks for.
pub(crate) const NAME: &str = "rten 0.27";

pub(super) struct Rten {
    model: Model,
    input: NodeId,
    output: NodeId,
}

impl Rten {
    pub(super) fn load(loading: Loading<'_>) -> Result<Rten, OnnxError> {
        let Loading { path, proto, bytes, external, input, output } = loading;
        let Operators { of_nodes, own } = Operators::of(&proto);
        drop(proto);
        let mut options = ModelOptions::with_all_ops();
        options.prepack_weights(true);
        for (name, bytes) in external {
            options.external_data(&name, bytes);
        }
        let path = || path.to_owned();
        let model = options.load(bytes).map_err(|e| {
            let why = e.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            let node = e.node().unwrap_or_default();
            match of_nodes.get(node) {
                Some((operator, opset)) if e.kind() == LoadErrorKind::OperatorInvalid => {
                    let unknown = why.contains("operator not");
                    let said = why.rsplit_once("\": ").map_or(why.as_str(), |(_, said)| said);
                    OnnxError::Operator {
                        path: path(),
                        operator: operator.clone(),
                        opset: *opset,
                        node: node.to_owned(),
                        why: if unknown { String::new() } else { format!(" in this form ({said})") },
                    }
                }
                _ => OnnxError::Load { path: path(), why: format!("{why} (opset {own})") },
            }
        })?;
        let found = |name: &str| {
            let why = || format!("'{name}' is not among what it computes");
            model.find_node(name).ok_or_else(|| OnnxError::Load { path: path(), why: why() })
        };
        let (input, output) = (found(input)?, found(output)?);
        Ok(Rten { model, input, output })
    }
}

impl Runtime for Rten {
    fn run(
        &self,
        threads: &Arc<ThreadPool>,
        shape: [usize; 4],
        input: Vec<f32>,
    ) -> Result<Option<Output>, String> {
        let options = RunOptions::default().with_thread_pool(Some(threads.clone()));
        let input = Value::from_shape(shape, input).map_err(|e| e.to_string())?;
        let inputs = vec![(self.input, input.into())];
        let [value] = self.model.run_n(inputs, [self.output], Some(options)).map_err(|e| e.to_string())?;
        Ok(value.into_tensor::<f32>().map(|tensor| (tensor.shape().to_vec(), tensor.to_vec())))
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
        let named = |n: &NodeProto| Some((n.name.clone()?, (operator(n), opset(model, n.domain.as_deref()))));
        let nodes = model.graph.iter().flat_map(|g| &g.node);
        Operators { of_nodes: nodes.filter_map(named).collect(), own: opset(model, None) }
    }
}
