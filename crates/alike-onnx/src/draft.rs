//! A manifest in the making: what the file says, what a user says, and what is still missing.

use crate::contents::{Contents, Tensor};
use crate::error::OnnxError;
use crate::manifest::{Channels, InputPreparation, Layout, MANIFEST_FORMAT, Manifest, ValueRange};
use crate::pooling::Pooling;
use crate::preset::Preset;
use alike::data::{Crop, Filter, Resize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// What a manifest states, as far as somebody has decided it.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// A family whose preparation is the usual one.
    pub preset: Option<Preset>,
    /// See [`Manifest::output`].
    pub output: Option<String>,
    /// See [`Manifest::pooling`].
    pub pooling: Option<Pooling>,
    /// See [`Manifest::normalize`].
    pub normalize: Option<bool>,
    /// See [`InputPreparation::size`].
    pub size: Option<[usize; 2]>,
    /// See [`InputPreparation::resize`].
    pub resize: Option<Resize>,
    /// See [`InputPreparation::filter`].
    pub filter: Option<Filter>,
    /// See [`InputPreparation::crop`].
    pub crop: Option<Crop>,
    /// See [`InputPreparation::channels`].
    pub channels: Option<Channels>,
    /// See [`InputPreparation::layout`].
    pub layout: Option<Layout>,
    /// See [`InputPreparation::range`].
    pub range: Option<ValueRange>,
    /// See [`InputPreparation::mean`]; one number stands for all channels.
    pub mean: Option<Vec<f64>>,
    /// See [`InputPreparation::std`]; one number stands for all channels.
    pub std: Option<Vec<f64>>,
    /// See [`Manifest::licence`].
    pub licence: Option<String>,
    /// See [`Manifest::source`].
    pub source: Option<String>,
}

/// What neither the file nor the user says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// Which of several outputs.
    Output,
    /// How an output of several tokens becomes one vector.
    Pooling,
    /// Height and width.
    Size,
    /// Where the channels stand.
    Layout,
    /// What bytes become before `mean` is subtracted.
    Range,
    /// The channels' means.
    Mean,
    /// The channels' deviations.
    Std,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Setting::Output => "which output is the embedding",
            Setting::Pooling => "how the output becomes one vector",
            Setting::Size => "the images' size",
            Setting::Layout => "the order of the input's dimensions",
            Setting::Range => "the range of pixel values",
            Setting::Mean => "the mean of the channels",
            Setting::Std => "the standard deviation of the channels",
        })
    }
}

/// Outputs that are embeddings by their names.
const EMBEDDINGS: [&str; 3] = ["embedding", "embeddings", "image_embeds"];

impl Draft {
    /// What a manifest states, to be changed in part.
    pub fn of(manifest: &Manifest) -> Draft {
        let p = manifest.preparation.clone();
        Draft {
            preset: None,
            output: Some(manifest.output.clone()),
            pooling: Some(manifest.pooling),
            normalize: Some(manifest.normalize),
            size: Some(p.size),
            resize: Some(p.resize),
            filter: Some(p.filter),
            crop: Some(p.crop),
            channels: Some(p.channels),
            layout: Some(p.layout),
            range: Some(p.range),
            mean: Some(p.mean),
            std: Some(p.std),
            licence: Some(manifest.licence.clone()),
            source: Some(manifest.source.clone()),
        }
    }

    /// The same, where what was not decided is as in another. A preset decides the whole preparation but its size, channels and layout.
    pub fn or(self, other: Draft) -> Draft {
        let free = self.preset.is_none();
        Draft {
            preset: self.preset.or(other.preset),
            output: self.output.clone().or(other.output),
            // Another output has its own shape.
            pooling: self.pooling.or(other.pooling.filter(|_| self.output.is_none())),
            normalize: self.normalize.or(other.normalize.filter(|_| free)),
            size: self.size.or(other.size),
            resize: self.resize.or(other.resize.filter(|_| free)),
            filter: self.filter.or(other.filter.filter(|_| free)),
            crop: self.crop.or(other.crop.filter(|_| free)),
            channels: self.channels.or(other.channels),
            layout: self.layout.or(other.layout),
            range: self.range.or(other.range.filter(|_| free)),
            mean: self.mean.or(other.mean.filter(|_| free)),
            std: self.std.or(other.std.filter(|_| free)),
            licence: self.licence.or(other.licence),
            source: self.source.or(other.source),
        }
    }

    /// The manifest of a model that says so of itself; `sha256` and `external_data` are the sums of its files.
    ///
    /// # Errors
    ///
    /// If something is missing, or what was decided does not fit the model.
    pub fn finish(
        self,
        path: &Path,
        contents: &Contents,
        sha256: String,
        external_data: BTreeMap<String, String>,
    ) -> Result<Manifest, OnnxError> {
        let mut missing = Vec::new();
        let output = self.output.clone().or_else(|| usual_output(&contents.outputs));
        let known = |name: &String| contents.values.iter().chain(&contents.outputs).find(|v| v.name == *name);
        if let Some(output) = output.as_ref().filter(|name| known(name).is_none()) {
            return Err(OnnxError::no_output(path, contents, output));
        }
        let rank = output.as_ref().and_then(known).and_then(Tensor::rank);
        let pooling = self.pooling.or_else(|| rank.and_then(Pooling::only));
        let (layout, size, channels) = self.input(contents);
        let usual = self.preset.unwrap_or(Preset::ImageNet).preparation(
            size.unwrap_or([1, 1]),
            channels,
            layout.unwrap_or(Layout::Nchw),
        );
        let of_preset = self.preset.map(|_| usual.clone());
        let range = self.range.or(of_preset.as_ref().map(|p| p.range));
        let each = |v: Vec<f64>| if v.len() == 1 { vec![v[0]; channels.count()] } else { v };
        let mean = self.mean.map(each).or(of_preset.as_ref().map(|p| p.mean.clone()));
        let std = self.std.map(each).or(of_preset.as_ref().map(|p| p.std.clone()));
        for (is_missing, setting) in [
            (output.is_none(), Setting::Output),
            (output.is_some() && pooling.is_none(), Setting::Pooling),
            (size.is_none(), Setting::Size),
            (layout.is_none(), Setting::Layout),
            (range.is_none(), Setting::Range),
            (mean.is_none(), Setting::Mean),
            (std.is_none(), Setting::Std),
        ] {
            if is_missing {
                missing.push(setting);
            }
        }
        let (Some(output), Some(pooling), Some(size), Some(layout), Some(range), Some(mean), Some(std)) =
            (output, pooling, size, layout, range, mean, std)
        else {
            return Err(OnnxError::Missing {
                path: path.to_owned(),
                settings: missing,
                outputs: contents.outputs.iter().map(|o| o.name.clone()).collect(),
            });
        };
        // What is not said and no preset says: the whole picture as far as its proportions allow, scaled as is usual.
        let (resize, crop, filter) = match &of_preset {
            Some(p) => (p.resize, p.crop, p.filter),
            None => (Resize::Fill, Crop::WHOLE, Filter::Bilinear),
        };
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            sha256,
            output,
            pooling,
            normalize: self.normalize.unwrap_or_else(|| self.preset.is_none_or(Preset::normalizes)),
            licence: self.licence.unwrap_or_default(),
            source: self.source.unwrap_or_default(),
            preparation: InputPreparation {
                size,
                resize: self.resize.unwrap_or(resize),
                filter: self.filter.unwrap_or(filter),
                crop: self.crop.unwrap_or(crop),
                channels,
                layout,
                range,
                mean,
                std,
            },
            external_data,
        };
        match manifest.fault() {
            Some(why) => Err(OnnxError::Manifest { path: Manifest::beside(path), why }),
            None => Ok(manifest),
        }
    }

    /// Layout, size and channels of the input: what was decided, and what the file says of the rest.
    fn input(&self, contents: &Contents) -> (Option<Layout>, Option<[usize; 2]>, Channels) {
        let shape = contents.inputs.first().and_then(|i| i.shape.as_deref());
        let at = |i: usize| shape.and_then(|s| s.get(i).copied().flatten());
        let are_channels = |n: Option<usize>| matches!(n, Some(1 | 3));
        let of_shape = || match (are_channels(at(1)), are_channels(at(3))) {
            (true, _) => Some(Layout::Nchw),
            (false, true) => Some(Layout::Nhwc),
            (false, false) => None,
        };
        let layout = self.layout.or_else(of_shape);
        let (count, sides) = match layout {
            Some(Layout::Nhwc) => (at(3), [at(1), at(2)]),
            Some(Layout::Nchw) => (at(1), [at(2), at(3)]),
            None => (None, [None, None]),
        };
        let of_sides = match sides {
            [Some(h), Some(w)] => Some([h, w]),
            _ => None,
        };
        let usual = if count == Some(1) { Channels::Grey } else { Channels::Rgb };
        (layout, self.size.or(of_sides), self.channels.unwrap_or(usual))
    }
}

/// The output that is meant where nobody said: the only one, or the only one that is called an embedding.
fn usual_output(outputs: &[Tensor]) -> Option<String> {
    if let [only] = outputs {
        return Some(only.name.clone());
    }
    let mut called = outputs.iter().filter(|o| EMBEDDINGS.contains(&o.name.as_str()));
    match (called.next(), called.next()) {
        (Some(one), None) => Some(one.name.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(input: [Option<usize>; 4], outputs: &[(&str, usize)]) -> Contents {
        let tensor = |name: &str, shape: Vec<Option<usize>>| Tensor {
            name: name.to_owned(),
            element: "FLOAT".to_owned(),
            shape: Some(shape),
        };
        Contents {
            producer: String::new(),
            opset: 17,
            inputs: vec![tensor("x", input.to_vec())],
            outputs: outputs.iter().map(|(name, rank)| tensor(name, vec![None; *rank])).collect(),
            parameters: 0,
            operators: BTreeMap::new(),
            external_data: Vec::new(),
            values: Vec::new(),
        }
    }

    fn finish(draft: Draft, contents: &Contents) -> Result<Manifest, OnnxError> {
        draft.finish(Path::new("m.onnx"), contents, "ab".repeat(32), BTreeMap::new())
    }

    fn missing(draft: Draft, contents: &Contents) -> Vec<Setting> {
        match finish(draft, contents) {
            Err(OnnxError::Missing { settings, .. }) => settings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_file_tells_what_it_can_and_the_rest_is_asked_for() {
        let nchw = [None, Some(3), Some(8), Some(6)];
        let one = contents(nchw, &[("out", 2)]);
        assert_eq!(missing(Draft::default(), &one), [Setting::Range, Setting::Mean, Setting::Std]);
        let preset = || Draft { preset: Some(Preset::ImageNet), ..Draft::default() };
        let made = finish(preset(), &one).unwrap();
        assert_eq!((made.output.as_str(), made.pooling, made.normalize), ("out", Pooling::None, true));
        assert_eq!((made.preparation.size, made.preparation.layout), ([8, 6], Layout::Nchw));
        assert_eq!(made.preparation.crop, Crop::Middle(0.875));
        // Several outputs: the embedding by its name, or none.
        let two = contents(nchw, &[("logits", 2), ("embedding", 3)]);
        assert_eq!(missing(preset(), &two), [Setting::Pooling]);
        let two = contents(nchw, &[("a", 2), ("b", 2)]);
        let error = finish(preset(), &two).unwrap_err().to_string();
        assert!(error.contains("which output is the embedding (outputs: a, b)"), "{error}");
        // TensorFlow's layout, a grey image, a free size.
        let nhwc = contents([Some(1), None, None, Some(1)], &[("map", 4)]);
        assert_eq!(missing(preset(), &nhwc), [Setting::Size]);
        let made = finish(Draft { size: Some([9, 9]), ..preset() }, &nhwc).unwrap();
        assert_eq!((made.preparation.layout, made.pooling), (Layout::Nhwc, Pooling::Mean));
        assert_eq!((made.preparation.channels, made.preparation.mean.len()), (Channels::Grey, 1));
        let free = contents([None; 4], &[("out", 2)]);
        assert_eq!(missing(preset(), &free), [Setting::Size, Setting::Layout]);
    }

    #[test]
    fn one_number_stands_for_all_channels_and_a_preset_goes_over_what_was_there() {
        let one = contents([None, Some(3), Some(8), Some(6)], &[("out", 2)]);
        let own = Draft {
            mean: Some(vec![127.0]),
            std: Some(vec![128.0]),
            range: Some(ValueRange::Byte),
            ..Draft::default()
        };
        let first = finish(own, &one).unwrap();
        assert_eq!(first.preparation.mean, [127.0; 3]);
        assert_eq!((first.preparation.resize, first.preparation.crop), (Resize::Fill, Crop::WHOLE));
        let same = finish(Draft::default().or(Draft::of(&first)), &one).unwrap();
        assert_eq!(same, first);
        let dlib = Draft { preset: Some(Preset::Dlib), ..Draft::default() }.or(Draft::of(&first));
        let dlib = finish(dlib, &one).unwrap();
        assert_eq!((dlib.preparation.mean, dlib.normalize), (vec![0.0; 3], false));
        let wrong = Draft { mean: Some(vec![1.0, 2.0]), ..Draft::of(&first) };
        assert!(finish(wrong, &one).unwrap_err().to_string().contains("mean has a number for each of 3"));
    }
}
