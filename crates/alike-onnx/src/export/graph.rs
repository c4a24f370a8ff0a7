//! A network as nodes of an ONNX graph, in operators of opset 13 to 17 and of later ones: without `GroupNormalization`, which few runtimes have.

use super::proto::Message;
use alike::model::{Layer, LayerInfo, Network};

// Kinds of elements and of attributes, as the format numbers them.
const FLOAT: i64 = 1;
const INT64: i64 = 7;
const ATTRIBUTE_INT: i64 = 2;
const ATTRIBUTE_INTS: i64 = 7;

/// From this opset on, `ReduceMean` takes its axes as an input.
const AXES_ARE_INPUTS: i64 = 18;

/// Nodes and constants, in the order in which they are needed.
pub(super) struct Graph {
    opset: i64,
    nodes: Vec<Message>,
    constants: Vec<Message>,
    next: usize,
    /// What names begin with, so that they are nobody else's.
    prefix: String,
}

/// An attribute of a node.
enum Attribute<'a> {
    Int(&'a str, i64),
    Ints(&'a str, &'a [i64]),
}

impl Graph {
    pub(super) fn new(opset: i64, prefix: &str) -> Graph {
        Graph { opset, nodes: Vec::new(), constants: Vec::new(), next: 0, prefix: prefix.to_owned() }
    }

    /// The graph's message: nodes and constants appended to what is there.
    pub(super) fn append_to(self, graph: Message) -> Message {
        let with_nodes = self.nodes.into_iter().fold(graph, |g, node| g.message(1, node));
        self.constants.into_iter().fold(with_nodes, |g, tensor| g.message(5, tensor))
    }

    fn name(&mut self) -> String {
        self.next += 1;
        format!("{}{}", self.prefix, self.next)
    }

    /// A node of one output, whose name is returned.
    fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[Attribute<'_>]) -> String {
        let output = self.name();
        self.node_called(operator, inputs, attributes, &output);
        output
    }

    fn node_called(&mut self, operator: &str, inputs: &[&str], attributes: &[Attribute<'_>], output: &str) {
        let mut node = inputs.iter().fold(Message::default(), |m, input| m.text(1, input));
        node = node.text(2, output).text(3, output).text(4, operator);
        for attribute in attributes {
            let message = match attribute {
                Attribute::Int(name, v) => Message::default().text(1, name).int(3, *v).int(20, ATTRIBUTE_INT),
                Attribute::Ints(name, all) => {
                    let message = all.iter().fold(Message::default().text(1, name), |m, v| m.int(8, *v));
                    message.int(20, ATTRIBUTE_INTS)
                }
            };
            node = node.message(5, message);
        }
        self.nodes.push(node);
    }

    fn tensor(&mut self, dims: &[usize], kind: i64, bytes: &[u8]) -> String {
        let name = self.name();
        let tensor = dims.iter().fold(Message::default(), |m, d| m.int(1, *d as i64));
        self.constants.push(tensor.int(2, kind).text(8, &name).bytes(9, bytes));
        name
    }

    fn floats(&mut self, dims: &[usize], values: &[f32]) -> String {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(dims, FLOAT, &bytes)
    }

    fn ints(&mut self, values: &[i64]) -> String {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(&[values.len()], INT64, &bytes)
    }

    fn reshaped(&mut self, x: &str, dims: &[i64]) -> String {
        let shape = self.ints(dims);
        self.node("Reshape", &[x, &shape], &[])
    }

    /// The mean over an axis, which stays as one of length 1.
    fn mean(&mut self, x: &str, axes: &[i64]) -> String {
        let keep = Attribute::Int("keepdims", 1);
        if self.opset < AXES_ARE_INPUTS {
            return self.node("ReduceMean", &[x], &[Attribute::Ints("axes", axes), keep]);
        }
        let axes = self.ints(axes);
        self.node("ReduceMean", &[x, &axes], &[keep])
    }

    /// Bytes as floats, `batch x height x width x channels`, as a network of ours sees them: from 0 to 1, channels first.
    pub(super) fn pictures(&mut self, x: &str) -> String {
        let first = self.node("Transpose", &[x], &[Attribute::Ints("perm", &[0, 3, 1, 2])]);
        let scale = self.floats(&[], &[1.0 / 255.0]);
        self.node("Mul", &[&first, &scale], &[])
    }

    /// The mean over tokens of `batch x tokens x numbers`, or over places of `batch x channels x places x places`.
    pub(super) fn pooled(&mut self, x: &str, axes: &[i64]) -> String {
        let mean = self.mean(x, axes);
        self.node("Flatten", &[&mean], &[Attribute::Int("axis", 1)])
    }

    /// The first token of `batch x tokens x numbers`.
    pub(super) fn first_token(&mut self, x: &str) -> String {
        let (zero, one) = (self.ints(&[0]), self.ints(&[1]));
        let axis = self.ints(&[1]);
        let first = self.node("Slice", &[x, &zero, &one, &axis], &[]);
        self.node("Flatten", &[&first], &[Attribute::Int("axis", 1)])
    }

    /// Vectors, `batch x numbers`, divided by their Euclidean norms.
    pub(super) fn unit_length(&mut self, x: &str) -> String {
        let square = self.node("Mul", &[x, x], &[]);
        // The mean times the length is the sum, and means have one form in all opsets that sums have not.
        let (mean, two) = (self.mean(&square, &[1]), self.node("Shape", &[x], &[]));
        let (one, end) = (self.ints(&[1]), self.ints(&[2]));
        let numbers = self.node("Slice", &[&two, &one, &end], &[]);
        let numbers = self.node("Cast", &[&numbers], &[Attribute::Int("to", FLOAT)]);
        let sum = self.node("Mul", &[&mean, &numbers], &[]);
        let norm = self.node("Sqrt", &[&sum], &[]);
        let floor = self.floats(&[1], &[1e-12]);
        let norm = self.node("Max", &[&norm, &floor], &[]);
        self.node("Div", &[x, &norm], &[])
    }

    /// Vectors as pictures of one pixel.
    pub(super) fn features(&mut self, x: &str, numbers: usize) -> String {
        self.reshaped(x, &[0, numbers as i64, 1, 1])
    }

    /// A network over pictures, or over features as `batch x channels x 1 x 1`; what comes out is `batch x numbers`, called `output`.
    pub(super) fn network(&mut self, network: &Network, parameters: &[f32], x: &str, output: &str) {
        let mut x = x.to_owned();
        let mut kept: Vec<String> = Vec::new();
        for info in network.layers() {
            x = self.layer(info, parameters, &x, &mut kept);
        }
        self.node_called("Flatten", &[&x], &[Attribute::Int("axis", 1)], output);
    }

    fn layer(&mut self, info: &LayerInfo, parameters: &[f32], x: &str, kept: &mut Vec<String>) -> String {
        let values = |k: usize| &parameters[info.parameters[k].range()];
        let out = info.output;
        let place = [0, out.c as i64, out.h as i64, out.w as i64];
        let window = |size: usize, stride: usize| ([size as i64; 2], [stride as i64; 2]);
        match info.layer {
            Layer::Norm { groups, eps } => {
                let flat = self.reshaped(x, &[0, groups as i64, -1]);
                let mean = self.mean(&flat, &[2]);
                let centred = self.node("Sub", &[&flat, &mean], &[]);
                let square = self.node("Mul", &[&centred, &centred], &[]);
                let variance = self.mean(&square, &[2]);
                let eps = self.floats(&[], &[eps]);
                let variance = self.node("Add", &[&variance, &eps], &[]);
                let deviation = self.node("Sqrt", &[&variance], &[]);
                let normed = self.node("Div", &[&centred, &deviation], &[]);
                let back = self.reshaped(&normed, &place);
                let scale = self.floats(&[1, out.c, 1, 1], values(0));
                let shift = self.floats(&[1, out.c, 1, 1], values(1));
                let scaled = self.node("Mul", &[&back, &scale], &[]);
                self.node("Add", &[&scaled, &shift], &[])
            }
            Layer::Relu => self.node("Relu", &[x], &[]),
            Layer::Conv { out_channels, kernel, pad, stride } => {
                let weight = self.floats(&[out_channels, info.input.c, kernel, kernel], values(0));
                let bias = self.floats(&[out_channels], values(1));
                let (kernel, strides) = window(kernel, stride);
                let attributes = [
                    Attribute::Ints("kernel_shape", &kernel),
                    Attribute::Ints("strides", &strides),
                    Attribute::Ints("pads", &[pad as i64; 4]),
                ];
                self.node("Conv", &[x, &weight, &bias], &attributes)
            }
            Layer::MaxPool { size, stride } => {
                let (size, strides) = window(size, stride);
                let attributes =
                    [Attribute::Ints("kernel_shape", &size), Attribute::Ints("strides", &strides)];
                self.node("MaxPool", &[x], &attributes)
            }
            Layer::AvgPool { size, stride } => {
                let (size, strides) = window(size, stride);
                let attributes =
                    [Attribute::Ints("kernel_shape", &size), Attribute::Ints("strides", &strides)];
                self.node("AveragePool", &[x], &attributes)
            }
            Layer::Gap => self.node("GlobalAveragePool", &[x], &[]),
            Layer::Gmp => self.node("GlobalMaxPool", &[x], &[]),
            Layer::Linear { width } => {
                let flat = self.node("Flatten", &[x], &[Attribute::Int("axis", 1)]);
                let weight = self.floats(&[width, info.input.len()], values(0));
                let bias = self.floats(&[width], values(1));
                let product = self.node("Gemm", &[&flat, &weight, &bias], &[Attribute::Int("transB", 1)]);
                self.reshaped(&product, &place)
            }
            Layer::Fork => {
                kept.push(x.to_owned());
                x.to_owned()
            }
            // A network has checked that each unit ends.
            Layer::Add => match kept.pop() {
                Some(before) => self.node("Add", &[x, &before], &[]),
                None => x.to_owned(),
            },
            Layer::L2 => {
                let flat = self.node("Flatten", &[x], &[Attribute::Int("axis", 1)]);
                let unit = self.unit_length(&flat);
                self.reshaped(&unit, &place)
            }
            _ => unreachable!("a layer that export does not know"),
        }
    }
}
