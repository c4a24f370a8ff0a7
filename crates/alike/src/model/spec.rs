//! The text that says what a network is.
//!
//! ```text
//! norm relu conv(32) maxpool(3, stride=2)   # a comment reaches to the line's end
//! norm(8) relu conv(64, kernel=5, pad=0)
//! gap l2
//! ```
//!
//! Layers stand in order, separated by white space. A layer's first argument may be given by place; the others by name,
//! and those left out have their defaults:
//!
//! | layer | meaning | arguments |
//! |---|---|---|
//! | `norm(groups=1, eps=1e-5)` | group normalisation with a learned scale and shift | |
//! | `relu` | negative values become zero | |
//! | `conv(maps, kernel=3, pad=kernel/2, stride=1)` | convolution with a bias | |
//! | `maxpool(size, stride=size)` | maximum of each window, no padding | size at most 16 |
//! | `avgpool(size, stride=size)` | average of each window, no padding | size at most 16 |
//! | `gap` | global average pooling | |
//! | `linear(width)` | every output sees every input | |
//! | `residual(layers)` | what the layers inside make of their input, added to it | shapes must agree |
//! | `l2` | each embedding is scaled to length 1; the last layer | |
//!
//! A specification prints as it would be written, defaults left out; a checkpoint keeps that text.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// One layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layer {
    /// Group normalisation.
    Norm {
        /// Groups that the channels are divided into.
        groups: usize,
        /// Added to the variance.
        eps: f32,
    },
    /// Rectification.
    Relu,
    /// Convolution with a bias.
    Conv {
        /// Output channels.
        maps: usize,
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
    /// Global average pooling.
    Gap,
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

/// A sequence of layers, not yet fitted to an input.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// In the order in which data pass.
    pub layers: Vec<Layer>,
}

/// A specification that cannot be read, with the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("network specification, line {line}, column {column}: {why}")]
pub struct SpecError {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub why: String,
}

const NAMES: [&str; 9] = ["norm", "relu", "conv", "maxpool", "avgpool", "gap", "linear", "residual", "l2"];
const DEFAULT_EPS: f32 = 1e-5;
/// Layers of a network; the deepest in use have a thousand.
const MOST_LAYERS: usize = 10_000;
// What a layer's sizes may be.
const GROUPS: RangeInclusive<usize> = 1..=4096;
const CHANNELS: RangeInclusive<usize> = 1..=4096;
const KERNEL: RangeInclusive<usize> = 1..=15;
const PAD: RangeInclusive<usize> = 0..=64;
const WINDOW: RangeInclusive<usize> = 1..=16;
const STRIDE: RangeInclusive<usize> = 1..=16;

impl Spec {
    /// The same network with another width of embedding: that of the last convolution or linear layer.
    pub fn with_embedding(mut self, embedding: usize) -> Spec {
        for layer in self.layers.iter_mut().rev() {
            if let Layer::Conv { maps: width, .. } | Layer::Linear { width } = layer {
                *width = embedding;
                break;
            }
        }
        self
    }

    /// The same network with embeddings of length 1.
    pub fn normalized(mut self) -> Spec {
        if self.layers.last() != Some(&Layer::L2) {
            self.layers.push(Layer::L2);
        }
        self
    }
}

impl Layer {
    /// What is wrong with its sizes, where it was not read from text. Too many channels are a matter of [`Limit::Model`](crate::limits::Limit).
    pub(super) fn check(&self) -> Result<(), String> {
        let at_least_one = |range: &RangeInclusive<usize>| *range.start()..=usize::MAX;
        let sizes: &[(&str, usize, RangeInclusive<usize>)] = match *self {
            Layer::Norm { eps, .. } if !(eps > 0.0 && eps.is_finite()) => {
                return Err(format!("eps is a positive number, not '{eps}'"));
            }
            Layer::Norm { groups, .. } => &[("groups", groups, GROUPS)],
            Layer::Conv { maps, kernel, pad, stride } => &[
                ("maps", maps, at_least_one(&CHANNELS)),
                ("kernel", kernel, KERNEL),
                ("pad", pad, PAD),
                ("stride", stride, STRIDE),
            ],
            Layer::MaxPool { size, stride } | Layer::AvgPool { size, stride } => {
                &[("size", size, WINDOW), ("stride", stride, STRIDE)]
            }
            Layer::Linear { width } => &[("width", width, at_least_one(&CHANNELS))],
            Layer::Relu | Layer::Gap | Layer::Fork | Layer::Add | Layer::L2 => &[],
        };
        match sizes.iter().find(|(_, size, range)| !range.contains(size)) {
            Some((name, size, range)) => Err(outside(name, range, size)),
            None => Ok(()),
        }
    }

    /// The layer in a list of layers, where the two ends of a residual unit stand apart.
    pub fn title(&self) -> String {
        match self {
            Layer::Fork => "residual unit".to_owned(),
            Layer::Add => "add the unit's input".to_owned(),
            layer => layer.to_string(),
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Layer::Norm { groups: 1, eps: DEFAULT_EPS } => write!(f, "norm"),
            Layer::Norm { groups, eps: DEFAULT_EPS } => write!(f, "norm({groups})"),
            Layer::Norm { groups, eps } => write!(f, "norm({groups}, eps={eps:e})"),
            Layer::Relu => write!(f, "relu"),
            Layer::Conv { maps, kernel, pad, stride } => {
                write!(f, "conv({maps}")?;
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
            Layer::Linear { width } => write!(f, "linear({width})"),
            Layer::Fork => write!(f, "residual("),
            Layer::Add => write!(f, ")"),
            Layer::L2 => write!(f, "l2"),
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = None;
        for layer in &self.layers {
            let tight = matches!(before, None | Some(Layer::Fork)) || *layer == Layer::Add;
            write!(f, "{}{layer}", if tight { "" } else { " " })?;
            before = Some(*layer);
        }
        Ok(())
    }
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Spec, SpecError> {
        let mut reader = Reader { text, at: 0 };
        let mut layers = Vec::new();
        let mut open = Vec::new();
        while let Some(start) = reader.next_layer() {
            if layers.len() >= MOST_LAYERS {
                return Err(reader.error(start, format!("it has more than {MOST_LAYERS} layers")));
            }
            let layer = reader.layer(start)?;
            match layer {
                Layer::Fork => open.push(start),
                Layer::Add if open.pop().is_none() => {
                    return Err(reader.error(start, "this parenthesis closes nothing".into()));
                }
                Layer::Add if layers.last() == Some(&Layer::Fork) => {
                    return Err(reader.error(start, "this residual unit has no layers".into()));
                }
                _ => {}
            }
            layers.push(layer);
        }
        if let Some(start) = open.pop() {
            return Err(reader.error(start, "this residual unit is never closed".into()));
        }
        if layers.is_empty() {
            return Err(reader.error(0, "it has no layers".into()));
        }
        Ok(Spec { layers })
    }
}

fn outside(name: &str, range: &RangeInclusive<usize>, got: impl fmt::Display) -> String {
    format!("{name} is a whole number from {} to {}, not '{got}'", range.start(), range.end())
}

/// The values of a layer's arguments, by place and by name, each with where it stands.
struct Arguments<'a> {
    by_place: Option<(usize, &'a str)>,
    by_name: Vec<(usize, &'a str, &'a str)>,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, at: usize, why: String) -> SpecError {
        let before = &self.text[..at.min(self.text.len())];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        SpecError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            why,
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Passes over white space and comments; says where the next layer starts.
    fn next_layer(&mut self) -> Option<usize> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return (!trimmed.is_empty()).then_some(self.at);
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn layer(&mut self, start: usize) -> Result<Layer, SpecError> {
        let rest = self.rest();
        if rest.starts_with(')') {
            self.at += 1;
            return Ok(Layer::Add);
        }
        let name = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())];
        self.at += name.len();
        if name == "residual" {
            if !self.rest().starts_with('(') {
                return Err(
                    self.error(start, "residual needs its layers, as in residual(norm relu conv(32))".into())
                );
            }
            self.at += 1;
            return Ok(Layer::Fork);
        }
        let arguments = self.arguments()?;
        let numbers = |names: &[&str], of: &str| self.numbers(&arguments, names, of);
        match name {
            "norm" => {
                let [groups, eps] = numbers(&["groups", "eps"], name)?[..] else { unreachable!() };
                let eps = match eps {
                    None => DEFAULT_EPS,
                    Some((at, text)) => {
                        text.parse().ok().filter(|v: &f32| *v > 0.0 && v.is_finite()).ok_or_else(|| {
                            self.error(at, format!("eps is a positive number, not '{text}'"))
                        })?
                    }
                };
                Ok(Layer::Norm { groups: self.whole(groups, "groups", GROUPS)?.unwrap_or(1), eps })
            }
            "conv" => {
                let names = ["maps", "kernel", "pad", "stride"];
                let [maps, kernel, pad, stride] = numbers(&names, name)?[..] else { unreachable!() };
                let maps = self.whole(maps, "maps", CHANNELS)?.ok_or_else(|| {
                    self.error(start, "conv needs its number of maps, as in conv(32)".into())
                })?;
                let kernel = self.whole(kernel, "kernel", KERNEL)?.unwrap_or(3);
                let pad = self.whole(pad, "pad", PAD)?.unwrap_or(kernel / 2);
                let stride = self.whole(stride, "stride", STRIDE)?.unwrap_or(1);
                Ok(Layer::Conv { maps, kernel, pad, stride })
            }
            "maxpool" | "avgpool" => {
                let [size, stride] = numbers(&["size", "stride"], name)?[..] else { unreachable!() };
                let size = self.whole(size, "size", WINDOW)?.ok_or_else(|| {
                    self.error(start, format!("{name} needs its window's size, as in {name}(2)"))
                })?;
                let stride = self.whole(stride, "stride", STRIDE)?.unwrap_or(size);
                let max = name == "maxpool";
                Ok(if max { Layer::MaxPool { size, stride } } else { Layer::AvgPool { size, stride } })
            }
            "linear" => {
                let [width] = numbers(&["width"], name)?[..] else { unreachable!() };
                let width = self.whole(width, "width", CHANNELS)?.ok_or_else(|| {
                    self.error(start, "linear needs its number of outputs, as in linear(64)".into())
                })?;
                Ok(Layer::Linear { width })
            }
            "relu" => numbers(&[], name).map(|_| Layer::Relu),
            "gap" => numbers(&[], name).map(|_| Layer::Gap),
            "l2" => numbers(&[], name).map(|_| Layer::L2),
            "" => Err(self.error(start, format!("expected a layer, one of {}", NAMES.join(", ")))),
            _ => {
                let hint = crate::suggest::did_you_mean(name, NAMES);
                Err(self
                    .error(start, format!("there is no layer '{name}'{hint} (layers: {})", NAMES.join(", "))))
            }
        }
    }

    fn arguments(&mut self) -> Result<Arguments<'a>, SpecError> {
        let mut arguments = Arguments { by_place: None, by_name: Vec::new() };
        if !self.rest().starts_with('(') {
            return Ok(arguments);
        }
        let open = self.at;
        let Some(close) = self.rest().find(')').map(|i| open + i) else {
            return Err(self.error(open, "this parenthesis is never closed".into()));
        };
        let mut at = open + 1;
        for (i, part) in self.text[at..close].split(',').enumerate() {
            let value_at = at + part.len() - part.trim_start().len();
            match part.split_once('=') {
                Some((key, value)) => arguments.by_name.push((value_at, key.trim(), value.trim())),
                None if i == 0 && !part.trim().is_empty() => {
                    arguments.by_place = Some((value_at, part.trim()));
                }
                None => return Err(self.error(value_at, "write this argument as name=value".into())),
            }
            at += part.len() + 1;
        }
        self.at = close + 1;
        Ok(arguments)
    }

    /// The arguments in the order of `names`; unknown and repeated ones are refused.
    fn numbers(
        &self,
        arguments: &Arguments<'a>,
        names: &[&str],
        layer: &str,
    ) -> Result<Vec<Option<(usize, &'a str)>>, SpecError> {
        let mut values = vec![None; names.len()];
        if let Some(first) = arguments.by_place {
            *values
                .first_mut()
                .ok_or_else(|| self.error(first.0, format!("{layer} takes no arguments")))? = Some(first);
        }
        for &(at, key, value) in &arguments.by_name {
            let Some(i) = names.iter().position(|name| *name == key) else {
                let hint = crate::suggest::did_you_mean(key, names.iter().copied());
                return Err(self.error(at, format!("{layer} has no argument '{key}'{hint}")));
            };
            if values[i].replace((at, value)).is_some() {
                return Err(self.error(at, format!("'{key}' is given twice")));
            }
        }
        Ok(values)
    }

    fn whole(
        &self,
        value: Option<(usize, &str)>,
        name: &str,
        range: RangeInclusive<usize>,
    ) -> Result<Option<usize>, SpecError> {
        let Some((at, text)) = value else { return Ok(None) };
        match text.parse() {
            Ok(n) if range.contains(&n) => Ok(Some(n)),
            _ => Err(self.error(at, outside(name, &range, text))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SEED_SPEC;

    #[track_caller]
    fn check(text: &str, printed: &str) {
        let spec: Spec = text.parse().unwrap();
        assert_eq!(spec.to_string(), printed);
        assert_eq!(printed.parse::<Spec>().unwrap(), spec, "what is printed reads as the same");
    }

    #[track_caller]
    fn check_refused(text: &str, message: &str) {
        let error = text.parse::<Spec>().unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn a_specification_prints_as_it_would_be_written() {
        check(SEED_SPEC, &SEED_SPEC.replace('\n', " "));
        check("norm(groups=4,eps=1e-3) conv( 8 , kernel=1 )", "norm(4, eps=1e-3) conv(8, kernel=1)");
        check("conv(8, pad=0) # why\n gap # end", "conv(8, pad=0) gap");
        check("maxpool(2, stride=2) l2", "maxpool(2) l2");
        check(
            "avgpool(3,stride=1) conv(4,stride=2) linear(8)",
            "avgpool(3, stride=1) conv(4, stride=2) linear(8)",
        );
        check(
            "conv(8) residual( norm relu residual(relu )conv(8) ) gap",
            "conv(8) residual(norm relu residual(relu) conv(8)) gap",
        );
    }

    #[test]
    fn mistakes_are_told_with_their_place_and_the_nearest_right_name() {
        check_refused(
            "norm relu\nconf(32)",
            "line 2, column 1: there is no layer 'conf'; did you mean 'conv'?",
        );
        check_refused(
            "conv(32, kernal=3)",
            "column 10: conv has no argument 'kernal'; did you mean 'kernel'?",
        );
        check_refused("conv", "conv needs its number of maps");
        check_refused("conv(0)", "maps is a whole number from 1 to 4096, not '0'");
        check_refused("conv(3, 5)", "write this argument as name=value");
        check_refused("conv(3", "never closed");
        check_refused("relu(2)", "relu takes no arguments");
        check_refused("conv(8) residual(relu", "column 9: this residual unit is never closed");
        check_refused("conv(8) residual()", "this residual unit has no layers");
        check_refused("conv(8)) gap", "column 8: this parenthesis closes nothing");
        check_refused("residual conv(8)", "residual needs its layers");
        check_refused("norm(2, groups=2)", "'groups' is given twice");
        check_refused("", "no layers");
        check_refused(&"relu ".repeat(10_001), "column 50001: it has more than 10000 layers");
        check_refused("conv(8) >", "expected a layer");
    }

    #[test]
    fn the_embedding_is_the_last_convolutions_width() {
        let spec: Spec = SEED_SPEC.parse().unwrap();
        let text = spec.with_embedding(64).normalized().normalized().to_string();
        assert!(text.ends_with("relu conv(64) gap l2"), "{text}");
        assert_eq!(text.matches("conv(32)").count(), 2);
    }
}
