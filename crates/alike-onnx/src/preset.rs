//! How families of networks had their pictures prepared when they were trained.

use crate::manifest::{Channels, InputPreparation, Layout, ValueRange};
use alike::data::{Crop, Filter, Resize};
use std::fmt;
use std::str::FromStr;

/// A family of networks whose pictures are prepared in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preset {
    /// Networks of torchvision and timm that were trained on ImageNet: the middle of the picture, mean and deviation of ImageNet
    /// (<https://pytorch.org/vision/stable/models.html>).
    ImageNet,
    /// Networks of TensorFlow, from -1 to 1 (`tf.keras.applications.imagenet_utils.preprocess_input`, mode `tf`).
    TensorFlow,
    /// Image towers of CLIP (<https://github.com/openai/CLIP>, `clip.py`).
    Clip,
    /// DINOv2 (<https://github.com/facebookresearch/dinov2>, `data/transforms.py`).
    Dinov2,
    /// Image towers of SigLIP (`preprocessor_config.json` of google/siglip-base-patch16-224).
    Siglip,
    /// dlib's face network: bytes as they are; mean and scale are in the network.
    Dlib,
}

impl Preset {
    /// Their names.
    pub const NAMES: [&str; 6] = ["imagenet", "tensorflow", "clip", "dinov2", "siglip", "dlib"];
    const ALL: [Preset; 6] =
        [Preset::ImageNet, Preset::TensorFlow, Preset::Clip, Preset::Dinov2, Preset::Siglip, Preset::Dlib];

    /// The preparation for images of a size: height and width.
    pub fn preparation(self, size: [usize; 2], channels: Channels, layout: Layout) -> InputPreparation {
        const IMAGENET: [[f64; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
        const CLIP: [[f64; 3]; 2] =
            [[0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_58, 0.275_777_11]];
        let (middle, all) = ((Resize::Fill, Crop::Middle(0.875)), (Resize::Fill, Crop::WHOLE));
        let (linear, cubic) = (Filter::Bilinear, Filter::Bicubic);
        let ((resize, crop), filter, range, [mut mean, mut std]) = match self {
            Preset::ImageNet => (middle, linear, ValueRange::Unit, IMAGENET),
            Preset::TensorFlow => (middle, linear, ValueRange::Byte, [[127.5; 3], [127.5; 3]]),
            Preset::Clip => (all, cubic, ValueRange::Unit, CLIP),
            Preset::Dinov2 => (middle, cubic, ValueRange::Unit, IMAGENET),
            Preset::Siglip => ((Resize::Squash, Crop::WHOLE), cubic, ValueRange::Unit, [[0.5; 3], [0.5; 3]]),
            Preset::Dlib => ((Resize::Squash, Crop::WHOLE), linear, ValueRange::Byte, [[0.0; 3], [1.0; 3]]),
        };
        if channels == Channels::Bgr {
            mean.reverse();
            std.reverse();
        }
        // A network that sees grey takes the mean over channels.
        let of = |v: [f64; 3]| match channels {
            Channels::Grey => vec![v.iter().sum::<f64>() / 3.0],
            _ => v.to_vec(),
        };
        InputPreparation { size, resize, filter, crop, channels, layout, range, mean: of(mean), std: of(std) }
    }

    /// Whether embeddings are compared by their directions, so that they are scaled to length 1. dlib's faces are compared by distance.
    pub fn normalizes(self) -> bool {
        self != Preset::Dlib
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(s: &str) -> Result<Preset, String> {
        let at = Preset::NAMES.iter().position(|name| *name == s);
        at.map(|i| Preset::ALL[i]).ok_or_else(|| {
            let hint = alike::suggest::did_you_mean(s, Preset::NAMES);
            format!("there is no preset '{s}'{hint} (presets: {})", Preset::NAMES.join(", "))
        })
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Preset::NAMES[*self as usize])
    }
}
