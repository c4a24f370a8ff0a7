//! Encoders that are worth a try, by name.

use crate::draft::Draft;
use crate::manifest::ValueRange;
use crate::pooling::Pooling;
use crate::preset::Preset;
use alike::data::Crop;

/// An encoder of the hub, and how its pictures are prepared.
#[derive(Clone, Copy, Debug)]
pub struct KnownEncoder {
    /// Its name.
    pub name: &'static str,
    /// What it is good for.
    pub about: &'static str,
    /// Its file on the hub.
    pub address: &'static str,
    /// Megabytes, about.
    pub megabytes: u32,
    /// The licence of the weights.
    pub licence: &'static str,
    /// Whether the licence forbids commercial use.
    pub non_commercial: bool,
    /// How pictures are prepared; nothing where pixel values from 0 to 1 are taken as they are.
    pub preset: Option<Preset>,
    /// Height and width of the images, where the file does not say.
    pub size: [usize; 2],
    /// The output that is the embedding; nothing for the only one.
    pub output: Option<&'static str>,
    /// How it becomes one vector.
    pub pooling: Pooling,
}

/// Encoders by name. Their addresses, sizes and outputs were written down from what their publishers say, without a network to check them by:
/// whoever fetches one sees that.
pub const KNOWN_ENCODERS: [KnownEncoder; 6] = [
    KnownEncoder {
        name: "dinov2-small",
        about: "pictures of all kinds, by how they look; the first to try",
        address: "hf:onnx-community/dinov2-small/onnx/model.onnx",
        megabytes: 86,
        licence: "Apache-2.0",
        non_commercial: false,
        preset: Some(Preset::Dinov2),
        size: [224, 224],
        output: Some("last_hidden_state"),
        pooling: Pooling::Cls,
    },
    KnownEncoder {
        name: "dinov2-base",
        about: "the same, larger and slower",
        address: "hf:onnx-community/dinov2-base/onnx/model.onnx",
        megabytes: 346,
        licence: "Apache-2.0",
        non_commercial: false,
        preset: Some(Preset::Dinov2),
        size: [224, 224],
        output: Some("last_hidden_state"),
        pooling: Pooling::Cls,
    },
    KnownEncoder {
        name: "clip-vit-b32",
        about: "what pictures show, as texts about them would say",
        address: "hf:Xenova/clip-vit-base-patch32/onnx/vision_model.onnx",
        megabytes: 352,
        licence: "MIT",
        non_commercial: false,
        preset: Some(Preset::Clip),
        size: [224, 224],
        output: Some("image_embeds"),
        pooling: Pooling::None,
    },
    KnownEncoder {
        name: "siglip-base",
        about: "the same, trained on more texts",
        address: "hf:Xenova/siglip-base-patch16-224/onnx/vision_model.onnx",
        megabytes: 372,
        licence: "Apache-2.0",
        non_commercial: false,
        preset: Some(Preset::Siglip),
        size: [224, 224],
        output: Some("pooler_output"),
        pooling: Pooling::None,
    },
    KnownEncoder {
        name: "mobileclip-s0",
        about: "what pictures show, for weak machines",
        address: "hf:Xenova/mobileclip_s0/onnx/vision_model.onnx",
        megabytes: 46,
        licence: "Apple's licence of MobileCLIP's weights, which is for research",
        non_commercial: true,
        preset: None,
        size: [256, 256],
        output: Some("image_embeds"),
        pooling: Pooling::None,
    },
    KnownEncoder {
        name: "insightface-r50",
        about: "faces, cut out and upright",
        address: "hf:immich-app/buffalo_l/recognition/model.onnx",
        megabytes: 174,
        licence: "InsightFace's licence, for research that is not commercial",
        non_commercial: true,
        preset: Some(Preset::TensorFlow),
        size: [112, 112],
        output: None,
        pooling: Pooling::None,
    },
];

impl KnownEncoder {
    /// The encoder of a name.
    pub fn find(name: &str) -> Option<&'static KnownEncoder> {
        KNOWN_ENCODERS.iter().find(|e| e.name == name)
    }

    /// What is known for its manifest.
    pub fn draft(&self) -> Draft {
        let plain = Draft {
            range: Some(ValueRange::Unit),
            mean: Some(vec![0.0]),
            std: Some(vec![1.0]),
            crop: Some(Crop::WHOLE),
            ..Draft::default()
        };
        Draft {
            preset: self.preset,
            output: self.output.map(str::to_owned),
            pooling: Some(self.pooling),
            size: Some(self.size),
            licence: Some(self.licence.to_owned()),
            source: Some(self.address.to_owned()),
            ..if self.preset.is_some() { Draft::default() } else { plain }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::HubFile;

    #[test]
    fn names_and_addresses_can_be_used() {
        for e in &KNOWN_ENCODERS {
            assert_eq!(e.address.parse::<HubFile>().unwrap().to_string(), e.address);
            assert!(
                KnownEncoder::find(e.name).is_some()
                    && e.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            );
            assert!(e.draft().preset.is_some() || e.draft().mean.is_some());
        }
    }
}
