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
//! | `conv(out_channels, kernel=3, pad=kernel/2, stride=1)` | convolution with a bias | |
//! | `maxpool(size, stride=size)` | maximum of each window, no padding | size at most 16 |
//! | `avgpool(size, stride=size)` | average of each window, no padding | size at most 16 |
//! | `gap` | global average pooling | |
//! | `gmp` | global max-pooling | |
//! | `linear(width)` | every output sees every input | |
//! | `residual(layers)` | what the layers inside make of their input, added to it | shapes must agree |
//! | `l2` | each embedding is scaled to length 1; the last layer | |
//!
//! A specification prints as it would be written, defaults left out; a checkpoint keeps that text.

use super::layer::{Layer, NAMES, outside};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

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

/// Layers of a network; the deepest in use have a thousand.
const MOST_LAYERS: usize = 10_000;

impl Spec {
    /// Changes the width of the embedding: that of the last convolution or linear layer.
    pub fn with_embedding(mut self, embedding: usize) -> Spec {
        for layer in self.layers.iter_mut().rev() {
            if let Layer::Conv { out_channels: width, .. } | Layer::Linear { width } = layer {
                *width = embedding;
                break;
            }
        }
        self
    }

    /// Scales embeddings to length 1, where the network does not do so already.
    pub fn normalized(mut self) -> Spec {
        if self.layers.last() != Some(&Layer::L2) {
            self.layers.push(Layer::L2);
        }
        self
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

/// Why a layer cannot be read, and at which byte of the text.
#[derive(Debug)]
pub(super) struct Misread {
    pub(super) at: usize,
    pub(super) why: String,
}

/// A layer's arguments as they are written, by place and by name, each with where it stands.
#[derive(Clone)]
pub(super) struct Arguments<'a> {
    /// The layer's name.
    pub(super) layer: &'a str,
    start: usize,
    by_place: Option<(usize, &'a str)>,
    by_name: Vec<(usize, &'a str, &'a str)>,
}

/// An argument, and where it stands; nothing where it was left out.
#[derive(Clone, Copy, Default)]
pub(super) struct Argument<'a> {
    pub(super) written: Option<(usize, &'a str)>,
}

impl<'a> Arguments<'a> {
    /// The arguments in the order of `names`; unknown and repeated ones are refused.
    pub(super) fn named<const N: usize>(&self, names: [&str; N]) -> Result<[Argument<'a>; N], Misread> {
        let mut values = [Argument::default(); N];
        if let Some(first) = self.by_place {
            match values.first_mut() {
                Some(value) => value.written = Some(first),
                None => {
                    let why = format!("{} takes no arguments", self.layer);
                    return Err(Misread { at: first.0, why });
                }
            }
        }
        for &(at, key, value) in &self.by_name {
            let Some(i) = names.iter().position(|name| *name == key) else {
                let hint = crate::suggest::did_you_mean(key, names);
                return Err(Misread { at, why: format!("{} has no argument '{key}'{hint}", self.layer) });
            };
            if values[i].written.replace((at, value)).is_some() {
                return Err(Misread { at, why: format!("'{key}' is given twice") });
            }
        }
        Ok(values)
    }

    /// Renames an argument that is given by an older name.
    pub(super) fn renamed(&self, old: &str, new: &'static str) -> Arguments<'a> {
        let mut arguments = self.clone();
        arguments.by_name.iter_mut().filter(|(_, key, _)| *key == old).for_each(|(_, key, _)| *key = new);
        arguments
    }

    /// An argument without which there is no layer; `what` it is, with an example.
    pub(super) fn required(&self, value: Option<usize>, what: &str, example: &str) -> Result<usize, Misread> {
        let why = || format!("{} needs {what}, as in {example}", self.layer);
        value.ok_or_else(|| Misread { at: self.start, why: why() })
    }
}

impl Argument<'_> {
    /// A whole number within a range.
    pub(super) fn whole(self, name: &str, range: RangeInclusive<usize>) -> Result<Option<usize>, Misread> {
        let Some((at, text)) = self.written else { return Ok(None) };
        match text.parse() {
            Ok(n) if range.contains(&n) => Ok(Some(n)),
            _ => Err(Misread { at, why: outside(name, &range, text) }),
        }
    }
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
        let arguments = self.arguments(start, name)?;
        match Layer::read(name, &arguments) {
            Some(layer) => layer.map_err(|Misread { at, why }| self.error(at, why)),
            None if name.is_empty() => {
                Err(self.error(start, format!("expected a layer, one of {}", NAMES.join(", "))))
            }
            None => {
                let hint = crate::suggest::did_you_mean(name, NAMES);
                let names = NAMES.join(", ");
                Err(self.error(start, format!("there is no layer '{name}'{hint} (layers: {names})")))
            }
        }
    }

    fn arguments(&mut self, start: usize, layer: &'a str) -> Result<Arguments<'a>, SpecError> {
        let mut arguments = Arguments { layer, start, by_place: None, by_name: Vec::new() };
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
        check("conv(maps=8) conv(kernel=5, out_channels=4)", "conv(8) conv(4, kernel=5)");
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
        check_refused("conv", "conv needs its number of output channels");
        check_refused("conv(8, maps=8)", "'out_channels' is given twice");
        check_refused("conv(0)", "out_channels must be a whole number from 1 to 4096, not '0'");
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
