//! The layers: how each is written, what its arguments may be, and what it makes of an input of a given shape.
//!
//! A new layer has its facts here, and how it runs in a file of `engine::layers`.

use super::spec::{Arguments, Misread};
use super::{LayerInfo, ParameterInfo, ParameterKind};
use crate::images::Shape;
use crate::limits::Limit;
use std::fmt;
use std::ops::RangeInclusive;

/// One layer.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Layer {
    /// Group normalisation with a learned scale and shift.
    Norm {
        /// Groups that the channels are divided into.
        groups: usize,
        /// Added to the variance.
        eps: f32,
    },
    /// Rectification: negative values become zero.
    Relu,
    /// Convolution with a bias.
    Conv {
        /// Output channels.
        out_channels: usize,
        /// Pixels along a side of the window.
        kernel: usize,
        /// Zero pixels around the input.
        pad: usize,
        /// Pixels from one window to the next.
        stride: usize,
    },
    /// Max-pooling without padding.
    MaxPool {
        /// Pixels along a side of the window.
        size: usize,
        /// Pixels from one window to the next.
        stride: usize,
    },
    /// Average-pooling without padding.
    AvgPool {
        /// Pixels along a side of the window.
        size: usize,
        /// Pixels from one window to the next.
        stride: usize,
    },
    /// Global average pooling: one pixel comes out.
    Gap,
    /// Global max-pooling: one pixel comes out.
    Gmp,
    /// A full connection with a bias: one pixel comes out.
    Linear {
        /// Its channels.
        width: usize,
    },
    /// Where a residual unit begins: what comes in is also kept for its [`Layer::Add`].
    Fork,
    /// Where the residual unit that began last ends: what its [`Layer::Fork`] kept is added.
    Add,
    /// Division by the Euclidean norm.
    L2,
}

/// The names of layers, as a specification has them.
pub(super) const NAMES: [&str; 10] =
    ["norm", "relu", "conv", "maxpool", "avgpool", "gap", "gmp", "linear", "residual", "l2"];

const DEFAULT_EPS: f32 = 1e-5;
// What a layer's arguments may be.
const GROUPS: RangeInclusive<usize> = 1..=4096;
const CHANNELS: RangeInclusive<usize> = 1..=4096;
const KERNEL: RangeInclusive<usize> = 1..=15;
const PAD: RangeInclusive<usize> = 0..=64;
const WINDOW: RangeInclusive<usize> = 1..=16;
const STRIDE: RangeInclusive<usize> = 1..=16;

impl Layer {
    /// The layer called `name` with these arguments; nothing where there is no such layer. Residual units, which hold layers, are read
    /// by [`Spec`](super::Spec).
    pub(super) fn read(name: &str, arguments: &Arguments<'_>) -> Option<Result<Layer, Misread>> {
        Some(match name {
            "norm" => Layer::read_norm(arguments),
            "conv" => Layer::read_conv(arguments),
            "maxpool" => read_pool(arguments).map(|(size, stride)| Layer::MaxPool { size, stride }),
            "avgpool" => read_pool(arguments).map(|(size, stride)| Layer::AvgPool { size, stride }),
            "linear" => arguments
                .named(["width"])
                .and_then(|[width]| width.whole("width", CHANNELS))
                .and_then(|width| arguments.required(width, "its number of outputs", "linear(64)"))
                .map(|width| Layer::Linear { width }),
            "relu" => arguments.named([]).map(|[]| Layer::Relu),
            "gap" => arguments.named([]).map(|[]| Layer::Gap),
            "gmp" => arguments.named([]).map(|[]| Layer::Gmp),
            "l2" => arguments.named([]).map(|[]| Layer::L2),
            _ => return None,
        })
    }

    fn read_norm(arguments: &Arguments<'_>) -> Result<Layer, Misread> {
        let [groups, eps] = arguments.named(["groups", "eps"])?;
        let eps = match eps.written {
            None => DEFAULT_EPS,
            Some((at, text)) => text
                .parse()
                .ok()
                .filter(|v: &f32| *v > 0.0 && v.is_finite())
                .ok_or_else(|| Misread { at, why: format!("eps is a positive number, not '{text}'") })?,
        };
        Ok(Layer::Norm { groups: groups.whole("groups", GROUPS)?.unwrap_or(1), eps })
    }

    fn read_conv(arguments: &Arguments<'_>) -> Result<Layer, Misread> {
        let names = ["out_channels", "kernel", "pad", "stride"];
        // Older texts say maps.
        let [out_channels, kernel, pad, stride] = arguments.renamed("maps", "out_channels").named(names)?;
        let out_channels = out_channels.whole("out_channels", CHANNELS)?;
        let out_channels = arguments.required(out_channels, "its number of output channels", "conv(32)")?;
        let kernel = kernel.whole("kernel", KERNEL)?.unwrap_or(3);
        let pad = pad.whole("pad", PAD)?.unwrap_or(kernel / 2);
        let stride = stride.whole("stride", STRIDE)?.unwrap_or(1);
        Ok(Layer::Conv { out_channels, kernel, pad, stride })
    }

    /// What is wrong with its sizes, where it was not read from text. Too many channels are refused when their memory is known.
    pub(super) fn check(&self) -> Result<(), String> {
        let at_least_one = |channels: usize| channels.min(*CHANNELS.end());
        let sizes: &[(&str, usize, RangeInclusive<usize>)] = match *self {
            Layer::Norm { eps, .. } if !(eps > 0.0 && eps.is_finite()) => {
                return Err(format!("eps is a positive number, not '{eps}'"));
            }
            Layer::Norm { groups, .. } => &[("groups", groups, GROUPS)],
            Layer::Conv { out_channels, kernel, pad, stride } => &[
                ("out_channels", at_least_one(out_channels), CHANNELS),
                ("kernel", kernel, KERNEL),
                ("pad", pad, PAD),
                ("stride", stride, STRIDE),
            ],
            Layer::MaxPool { size, stride } | Layer::AvgPool { size, stride } => {
                &[("size", size, WINDOW), ("stride", stride, STRIDE)]
            }
            Layer::Linear { width } => &[("width", at_least_one(width), CHANNELS)],
            Layer::Relu | Layer::Gap | Layer::Gmp | Layer::Fork | Layer::Add | Layer::L2 => &[],
        };
        match sizes.iter().find(|(_, size, range)| !range.contains(size)) {
            Some((name, size, range)) => Err(outside(name, range, size)),
            None => Ok(()),
        }
    }

    /// Its name in a list of layers, where the two ends of a residual unit stand apart.
    pub fn title(&self) -> String {
        match self {
            Layer::Fork => "residual unit".to_owned(),
            Layer::Add => "add the unit's input".to_owned(),
            layer => layer.to_string(),
        }
    }

    /// What comes out of it, and its floating-point operations for one image, a multiplication and an addition counting two. Its
    /// parameters are added to `input`.
    pub(super) fn fit(&self, input: &mut Fitting<'_>) -> Result<(Shape, u64), String> {
        let shape = input.shape;
        let pixels = (shape.h * shape.w) as u64;
        Ok(match *self {
            Layer::Norm { groups, .. } => {
                if !shape.c.is_multiple_of(groups) {
                    return Err(format!("{groups} groups do not divide {} channels", shape.c));
                }
                input.claim(2 * shape.c as u64, values(shape))?;
                input.add("weight", vec![shape.c], ParameterKind::Scale, 1);
                input.add("bias", vec![shape.c], ParameterKind::Shift, 1);
                (shape, 7 * pixels * shape.c as u64)
            }
            Layer::Relu => {
                input.claim(0, values(shape))?;
                (shape, pixels * shape.c as u64)
            }
            Layer::Conv { out_channels, kernel, pad, stride } => {
                let (h, w) = (shape.h + 2 * pad, shape.w + 2 * pad);
                if h < kernel || w < kernel {
                    return Err("it is smaller than the kernel; use a larger pad or fewer pools".into());
                }
                let fan_in = shape.c * kernel * kernel;
                let out =
                    Shape { h: (h - kernel) / stride + 1, w: (w - kernel) / stride + 1, c: out_channels };
                let weights = (out_channels as u64).saturating_mul(fan_in as u64 + 1);
                input.claim(weights, values(out))?;
                not_too_many("out_channels", out_channels)?;
                let dims = vec![out_channels, shape.c, kernel, kernel];
                input.add("weight", dims, ParameterKind::Weight, fan_in);
                input.add("bias", vec![out_channels], ParameterKind::Bias, fan_in);
                (out, values(out).saturating_mul(2 * fan_in as u64))
            }
            Layer::Linear { width } => {
                let weights = (width as u64).saturating_mul(values(shape).saturating_add(1));
                input.claim(weights, width as u64)?;
                not_too_many("width", width)?;
                input.add("weight", vec![width, shape.len()], ParameterKind::Weight, shape.len());
                input.add("bias", vec![width], ParameterKind::Bias, shape.len());
                (Shape { h: 1, w: 1, c: width }, 2 * (width * shape.len()) as u64)
            }
            Layer::Fork => {
                input.open_units.push(shape);
                (shape, 0)
            }
            Layer::Add => {
                let kept = input.open_units.pop().ok_or("no residual unit begins before it")?;
                if kept != shape {
                    return Err(format!("the residual unit began with {kept}; both must be equal"));
                }
                input.claim(0, values(shape))?;
                (shape, shape.len() as u64)
            }
            Layer::MaxPool { size, stride } | Layer::AvgPool { size, stride } => {
                if shape.h < size || shape.w < size {
                    return Err("it is smaller than the window; use fewer pools".into());
                }
                let out =
                    Shape { h: (shape.h - size) / stride + 1, w: (shape.w - size) / stride + 1, c: shape.c };
                input.claim(0, out.len() as u64)?;
                (out, (out.len() * size * size) as u64)
            }
            Layer::Gap | Layer::Gmp => (Shape { h: 1, w: 1, c: shape.c }, shape.len() as u64),
            Layer::L2 if !input.is_last => return Err("l2 must be the last layer".into()),
            Layer::L2 => (shape, 3 * shape.len() as u64),
        })
    }
}

fn not_too_many(name: &str, channels: usize) -> Result<(), String> {
    if CHANNELS.contains(&channels) { Ok(()) } else { Err(outside(name, &CHANNELS, channels)) }
}

fn read_pool(arguments: &Arguments<'_>) -> Result<(usize, usize), Misread> {
    let [size, stride] = arguments.named(["size", "stride"])?;
    let size = size.whole("size", WINDOW)?;
    let example = format!("{}(2)", arguments.layer);
    let size = arguments.required(size, "its window's size", &example)?;
    Ok((size, stride.whole("stride", STRIDE)?.unwrap_or(size)))
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Layer::Norm { groups: 1, eps: DEFAULT_EPS } => write!(f, "norm"),
            Layer::Norm { groups, eps: DEFAULT_EPS } => write!(f, "norm({groups})"),
            Layer::Norm { groups, eps } => write!(f, "norm({groups}, eps={eps:e})"),
            Layer::Relu => write!(f, "relu"),
            Layer::Conv { out_channels, kernel, pad, stride } => {
                write!(f, "conv({out_channels}")?;
                if kernel != 3 {
                    write!(f, ", kernel={kernel}")?;
                }
                if pad != kernel / 2 {
                    write!(f, ", pad={pad}")?;
                }
                if stride != 1 {
                    write!(f, ", stride={stride}")?;
                }
                write!(f, ")")
            }
            Layer::MaxPool { size, stride } if size == stride => write!(f, "maxpool({size})"),
            Layer::MaxPool { size, stride } => write!(f, "maxpool({size}, stride={stride})"),
            Layer::AvgPool { size, stride } if size == stride => write!(f, "avgpool({size})"),
            Layer::AvgPool { size, stride } => write!(f, "avgpool({size}, stride={stride})"),
            Layer::Gap => write!(f, "gap"),
            Layer::Gmp => write!(f, "gmp"),
            Layer::Linear { width } => write!(f, "linear({width})"),
            Layer::Fork => write!(f, "residual("),
            Layer::Add => write!(f, ")"),
            Layer::L2 => write!(f, "l2"),
        }
    }
}

/// A layer's input while a specification is fitted to images, and what the layers before it have taken.
pub(super) struct Fitting<'a> {
    /// The layer's number, counted from 0.
    number: usize,
    is_last: bool,
    shape: Shape,
    /// Inputs of residual units that have not ended yet.
    open_units: &'a mut Vec<Shape>,
    taken: &'a mut Taken,
    parameters: Vec<ParameterInfo>,
}

/// What a network takes up to a layer.
#[derive(Default)]
pub(super) struct Taken {
    /// Values of parameters and of all that comes out of layers.
    pub(super) values: u64,
    /// Values of parameters.
    pub(super) parameters: usize,
}

impl<'a> Fitting<'a> {
    pub(super) fn new(
        (number, is_last): (usize, bool),
        shape: Shape,
        open_units: &'a mut Vec<Shape>,
        taken: &'a mut Taken,
    ) -> Fitting<'a> {
        Fitting { number, is_last, shape, open_units, taken, parameters: Vec::new() }
    }

    /// Fits the layer to its input.
    pub(super) fn layer(mut self, layer: Layer) -> Result<LayerInfo, String> {
        layer.check()?;
        self.claim(0, 0)?;
        let input = self.shape;
        let (output, flop) = layer.fit(&mut self)?;
        Ok(LayerInfo { layer, input, output, parameters: self.parameters, flop })
    }

    /// Counts parameters and values that come out, before anything is multiplied that might not fit into a number.
    fn claim(&mut self, parameters: u64, outputs: u64) -> Result<(), String> {
        self.taken.values = self.taken.values.saturating_add(parameters).saturating_add(outputs);
        let bytes = self.taken.values.saturating_mul(4);
        let limited = Limit::Model.check(bytes, || "up to here the network takes much memory".into());
        limited.map_err(|e| e.to_string())
    }

    /// Adds a parameter tensor. `fan_in` is how many inputs each output sums over.
    fn add(&mut self, suffix: &str, shape: Vec<usize>, kind: ParameterKind, fan_in: usize) {
        let name = format!("layers.{}.{suffix}", self.number);
        let parameter = ParameterInfo { name, shape, offset: self.taken.parameters, kind, fan_in };
        self.taken.parameters += parameter.len();
        self.parameters.push(parameter);
    }
}

/// Values of a shape, as many as a number holds at most.
pub(super) fn values(shape: Shape) -> u64 {
    [shape.h, shape.w, shape.c].iter().fold(1, |n: u64, side| n.saturating_mul(*side as u64))
}

/// That an argument is not in its range.
pub(super) fn outside(name: &str, range: &RangeInclusive<usize>, got: impl fmt::Display) -> String {
    format!("{name} must be a whole number from {} to {}, not '{got}'", range.start(), range.end())
}
