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
//! | `conv(maps, kernel=3, pad=kernel/2)` | convolution with a bias, stride 1 | |
//! | `maxpool(size, stride=size)` | maximum of each window, no padding | size at most 16 |
//! | `gap` | global average pooling | |
//! | `l2` | each embedding is scaled to length 1; the last layer | |
//!
//! A specification prints as it would be written, defaults left out; a checkpoint keeps that text.

use std::fmt;
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
    /// Convolution with stride 1 and a bias.
    Conv {
        /// Output channels.
        maps: usize,
        /// Pixels along a side of the window.
        kernel: usize,
        /// Zero pixels around the input.
        pad: usize,
    },
    /// Max-pooling without padding.
    MaxPool {
        /// Pixels along a side of the window.
        size: usize,
        /// Pixels from one window to the next.
        stride: usize,
    },
    /// Global average pooling.
    Gap,
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

const NAMES: [&str; 6] = ["norm", "relu", "conv", "maxpool", "gap", "l2"];
const DEFAULT_EPS: f32 = 1e-5;

impl Spec {
    /// The same network with another width of embedding: the last convolution's maps.
    pub fn with_embedding(mut self, width: usize) -> Spec {
        if let Some(Layer::Conv { maps, .. }) =
            self.layers.iter_mut().rfind(|l| matches!(l, Layer::Conv { .. }))
        {
            *maps = width;
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

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Layer::Norm { groups: 1, eps: DEFAULT_EPS } => write!(f, "norm"),
            Layer::Norm { groups, eps: DEFAULT_EPS } => write!(f, "norm({groups})"),
            Layer::Norm { groups, eps } => write!(f, "norm({groups}, eps={eps:e})"),
            Layer::Relu => write!(f, "relu"),
            Layer::Conv { maps, kernel, pad } => {
                write!(f, "conv({maps}")?;
                if kernel != 3 {
                    write!(f, ", kernel={kernel}")?;
                }
                if pad != kernel / 2 {
                    write!(f, ", pad={pad}")?;
                }
                write!(f, ")")
            }
            Layer::MaxPool { size, stride } if size == stride => write!(f, "maxpool({size})"),
            Layer::MaxPool { size, stride } => write!(f, "maxpool({size}, stride={stride})"),
            Layer::Gap => write!(f, "gap"),
            Layer::L2 => write!(f, "l2"),
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, layer) in self.layers.iter().enumerate() {
            write!(f, "{}{layer}", if i > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Spec, SpecError> {
        let mut reader = Reader { text, at: 0 };
        let mut layers = Vec::new();
        while let Some(start) = reader.next_layer() {
            layers.push(reader.layer(start)?);
        }
        if layers.is_empty() {
            return Err(reader.error(0, "it has no layers".into()));
        }
        Ok(Spec { layers })
    }
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
        let name = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())];
        self.at += name.len();
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
                Ok(Layer::Norm { groups: self.whole(groups, "groups", 1..=4096)?.unwrap_or(1), eps })
            }
            "conv" => {
                let [maps, kernel, pad] = numbers(&["maps", "kernel", "pad"], name)?[..] else {
                    unreachable!()
                };
                let maps = self.whole(maps, "maps", 1..=4096)?.ok_or_else(|| {
                    self.error(start, "conv needs its number of maps, as in conv(32)".into())
                })?;
                let kernel = self.whole(kernel, "kernel", 1..=15)?.unwrap_or(3);
                let at = pad.map_or(start, |p| p.0);
                let pad = self.whole(pad, "pad", 0..=14)?.unwrap_or(kernel / 2);
                if pad >= kernel {
                    return Err(self.error(at, format!("a pad of {pad} needs a kernel larger than {kernel}")));
                }
                Ok(Layer::Conv { maps, kernel, pad })
            }
            "maxpool" => {
                let [size, stride] = numbers(&["size", "stride"], name)?[..] else { unreachable!() };
                let size = self.whole(size, "size", 1..=16)?.ok_or_else(|| {
                    self.error(start, "maxpool needs its window's size, as in maxpool(2)".into())
                })?;
                Ok(Layer::MaxPool { size, stride: self.whole(stride, "stride", 1..=16)?.unwrap_or(size) })
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
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<Option<usize>, SpecError> {
        let Some((at, text)) = value else { return Ok(None) };
        match text.parse() {
            Ok(n) if range.contains(&n) => Ok(Some(n)),
            _ => {
                let (low, high) = (range.start(), range.end());
                Err(self.error(at, format!("{name} is a whole number from {low} to {high}, not '{text}'")))
            }
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
        check_refused("conv(3, kernel=3, pad=3)", "a pad of 3 needs a kernel larger than 3");
        check_refused("norm(2, groups=2)", "'groups' is given twice");
        check_refused("", "no layers");
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
