//! What an ONNX file says of itself.

use crate::error::OnnxError;
use crate::manifest::is_file_name;
use crate::runtime::is_rten;
use rten_onnx::onnx::{
    AttributeProto, DataLocation, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
};
use rten_onnx::protobuf::ErrorKind;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What an ONNX file says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Contents {
    /// The program that wrote it.
    pub producer: String,
    /// The version of ONNX's own operator set.
    pub opset: i64,
    /// Inputs that are no weights.
    pub inputs: Vec<Tensor>,
    /// Outputs.
    pub outputs: Vec<Tensor>,
    /// Numbers of weights.
    pub parameters: u64,
    /// Nodes by their operator.
    pub operators: BTreeMap<String, usize>,
    /// Files beside it that hold weights.
    pub external_data: Vec<String>,
    /// All that nodes compute, outputs too: what can be an embedding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Tensor>,
}

/// An input, an output, or what a node computes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// What it is made of, as in `FLOAT`; empty where the file does not say.
    pub element: String,
    /// Its sizes, none where a size is not fixed; nothing where the file does not say.
    pub shape: Option<Vec<Option<usize>>>,
}

impl Tensor {
    /// In words: `FLOAT ? x 3 x 224 x 224`.
    pub fn sentence(&self) -> String {
        let size = |s: &Option<usize>| s.map_or("?".to_owned(), |n| n.to_string());
        let shape = match &self.shape {
            None => "of a shape that the file does not say".to_owned(),
            Some(shape) if shape.is_empty() => "a single number".to_owned(),
            Some(shape) => shape.iter().map(size).collect::<Vec<_>>().join(" x "),
        };
        format!("{} {shape}", if self.element.is_empty() { "values" } else { &self.element })
    }

    /// How many dimensions it has, where the file says so.
    pub fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(Vec::len)
    }

    fn of(value: &ValueInfoProto) -> Tensor {
        let tensor = value.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
        let element = tensor.and_then(|t| t.elem_type.as_ref()).map_or(String::new(), ToString::to_string);
        let size = |v: Option<i64>| v.and_then(|v| usize::try_from(v).ok()).filter(|v| *v > 0);
        let shape = tensor.and_then(|t| t.shape.as_ref());
        let shape = shape.map(|s| s.dim.iter().map(|d| size(d.dim_value)).collect());
        Tensor { name: value.name.clone().unwrap_or_default(), element, shape }
    }
}

/// Reads the model that a file holds.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<ModelProto, OnnxError> {
    // Every ONNX file begins with the version of its format: field 1, a whole number. The reader is not asked about others, for there are
    // some that it reads without end.
    if bytes.first() != Some(&0x08) {
        return Err(OnnxError::NotOnnx(path.to_owned()));
    }
    let cut = || OnnxError::Cut(path.to_owned());
    let model = ModelProto::parse_buf(bytes).map_err(|e| match e.kind() {
        ErrorKind::Eof | ErrorKind::LengthMismatch => cut(),
        ErrorKind::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => cut(),
        _ => OnnxError::Damaged { path: path.to_owned(), why: e.to_string() },
    })?;
    // The operator sets may stand after the graph.
    if model.graph.is_none() || model.opset_import.is_empty() { Err(cut()) } else { Ok(model) }
}

/// The graph, and those that its nodes hold: bodies of loops and branches.
fn graphs(graph: &GraphProto) -> Vec<&GraphProto> {
    let mut all = vec![graph];
    let mut next = 0;
    while next < all.len() {
        let inner = all[next].node.iter().flat_map(|n| &n.attribute).filter_map(|a| a.g.as_ref());
        let inner: Vec<&GraphProto> = inner.collect();
        all.extend(inner);
        next += 1;
    }
    all
}

fn nodes(graph: &GraphProto) -> impl Iterator<Item = &NodeProto> {
    graphs(graph).into_iter().flat_map(|g| &g.node)
}

/// Constants of a graph, however they are kept.
fn constants(graph: &GraphProto) -> impl Iterator<Item = &TensorProto> {
    graphs(graph).into_iter().flat_map(|g| {
        let of_nodes = g.node.iter().flat_map(|n| &n.attribute).filter_map(|a| a.t.as_ref());
        g.initializer.iter().chain(of_nodes)
    })
}

/// The operator of a node, with its domain where that is not ONNX's own.
pub(crate) fn operator(node: &NodeProto) -> String {
    let name = node.op_type.as_deref().unwrap_or_default();
    match node.domain.as_deref() {
        None | Some("" | "ai.onnx") => name.to_owned(),
        Some(domain) => format!("{domain}:{name}"),
    }
}

/// The version of the operator set that a node's operator is of; 0 where the file does not say.
pub(crate) fn opset(model: &ModelProto, domain: Option<&str>) -> i64 {
    let own = |d: Option<&str>| matches!(d, None | Some("" | "ai.onnx"));
    let is = |d: Option<&str>| if own(domain) { own(d) } else { d == domain };
    model.opset_import.iter().find(|o| is(o.domain.as_deref())).and_then(|o| o.version).unwrap_or(0)
}

impl Contents {
    /// What a model says of itself.
    pub(crate) fn of(model: &ModelProto) -> Contents {
        let empty = GraphProto::default();
        let graph = model.graph.as_ref().unwrap_or(&empty);
        let weights: BTreeSet<&str> = graph.initializer.iter().filter_map(|t| t.name.as_deref()).collect();
        let inputs = graph.input.iter().map(Tensor::of).filter(|t| !weights.contains(t.name.as_str()));
        let known: BTreeMap<String, Tensor> = graph
            .value_info
            .iter()
            .chain(&graph.output)
            .map(|v| (v.name.clone().unwrap_or_default(), Tensor::of(v)))
            .collect();
        let value = |name: &String| {
            known.get(name).cloned().unwrap_or_else(|| Tensor {
                name: name.clone(),
                element: String::new(),
                shape: None,
            })
        };
        let mut operators = BTreeMap::new();
        nodes(graph).for_each(|n| *operators.entry(operator(n)).or_default() += 1);
        let size = |t: &TensorProto| {
            t.dims.iter().map(|d| u64::try_from(*d).unwrap_or(0)).fold(1, u64::saturating_mul)
        };
        let external: BTreeSet<String> =
            constants(graph).filter_map(external_location).map(str::to_owned).collect();
        Contents {
            producer: [&model.producer_name, &model.producer_version]
                .into_iter()
                .flatten()
                .cloned()
                .collect::<Vec<_>>()
                .join(" "),
            opset: opset(model, None),
            inputs: inputs.collect(),
            outputs: graph.output.iter().map(Tensor::of).collect(),
            parameters: constants(graph).map(size).fold(0, u64::saturating_add),
            operators,
            external_data: external.into_iter().collect(),
            values: graph
                .node
                .iter()
                .flat_map(|n| &n.output)
                .filter(|name| !name.is_empty())
                .map(value)
                .collect(),
        }
    }
}

/// The file that holds a constant, if that is another one.
fn external_location(tensor: &TensorProto) -> Option<&str> {
    if tensor.data_location != Some(DataLocation::EXTERNAL) {
        return None;
    }
    let entry = tensor.external_data.iter().find(|e| e.key.as_deref() == Some("location"))?;
    entry.value.as_deref()
}

/// Refuses what no manifest could make an encoder of.
pub(crate) fn check(path: &Path, model: &ModelProto) -> Result<(), OnnxError> {
    let path = || path.to_owned();
    let contents = Contents::of(model);
    let [input] = &contents.inputs[..] else {
        let names = contents.inputs.into_iter().map(|i| i.name).collect();
        return Err(OnnxError::Inputs { path: path(), names });
    };
    let is_float = ["", "FLOAT", "FLOAT16", "DOUBLE"].contains(&input.element.as_str());
    if !is_float || input.rank().is_some_and(|rank| rank != 4) {
        return Err(OnnxError::Input { path: path(), input: input.name.clone(), what: input.sentence() });
    }
    if let Some(batch) = input.shape.as_ref().and_then(|s| s[0]).filter(|batch| *batch != 1) {
        return Err(OnnxError::FixedBatch { path: path(), batch });
    }
    if let Some(file) = contents.external_data.into_iter().find(|name| !is_file_name(name)) {
        return Err(OnnxError::ExternalPath { path: path(), file });
    }
    let is_cubic = |a: &AttributeProto| a.name.as_deref() == Some("mode") && a.s.as_deref() == Some("cubic");
    let graph = model.graph.as_ref();
    let cubic = graph.into_iter().flat_map(nodes).find(|n| {
        matches!(n.op_type.as_deref(), Some("Resize" | "Upsample")) && n.attribute.iter().any(is_cubic)
    });
    match cubic {
        // ONNX Runtime computes it as it is.
        Some(node) if is_rten() => {
            Err(OnnxError::CubicResize { path: path(), node: node.name.clone().unwrap_or_default() })
        }
        _ => Ok(()),
    }
}
