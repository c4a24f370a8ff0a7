//! Without classes: does an image find what was made of itself?

use super::ProtocolError;
use crate::data::{Augment, Changes, Dataset, Split};
use crate::encoder::Encoder;
use crate::eval::interval::share_interval;
use crate::eval::{EvalError, Spaces};
use crate::images::{Vectors, with_pixels};
use crate::neighbours::{Exact, Exclude, nearest};
use crate::sample;
use crate::text;
use serde::Serialize;

/// What is measured.
#[derive(Clone, Debug)]
pub struct ConsistencyOptions {
    /// How the two views of an image are made.
    pub augment: Augment,
    /// Images that are asked about, at most; of more, some are drawn.
    pub most: usize,
    /// Decides how views differ, and which images are drawn.
    pub seed: u64,
}

impl Default for ConsistencyOptions {
    /// Views as training without labels makes them of pictures.
    fn default() -> ConsistencyOptions {
        let views = Changes {
            crop: 0.5,
            rotate: 8.0,
            flip: 0.5,
            brightness: 0.25,
            contrast: 0.4,
            blur: 0.3,
            ..Changes::default()
        };
        ConsistencyOptions { augment: Augment::Custom(views), most: 5000, seed: 0 }
    }
}

/// How often an image finds what was made of itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FoundItself {
    /// The share of images that do.
    pub share: f64,
    /// Between what it lies, 95 % (Agresti and Coull).
    pub interval: [f64; 2],
}

/// How an embedding does without classes, beside pixels.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConsistencyAnswer {
    /// The data set's name.
    pub dataset: String,
    /// Images that were asked about.
    pub images: usize,
    /// How the two views of an image were made.
    pub views_by: String,
    /// Two-view consistency: the share of images one view of which is nearer to its other view than to any other image's.
    pub views: Spaces<FoundItself>,
    /// The share of images that are nearer to their own mirror image than to any other image's.
    pub mirror: Spaces<FoundItself>,
}

/// The images that there are without classes: those of training, where nothing was held back.
fn asked(data: &Dataset) -> &Split {
    if data.test.is_empty() { &data.train } else { &data.test }
}

/// An augmentation's strengths without those that are zero.
fn used(augment: &Augment) -> String {
    let text = text::write(augment);
    let Some((kind, values)) = text.split_once(':') else { return text };
    let some: Vec<&str> =
        values.split(',').filter(|v| !v.ends_with("=0.0") && !v.ends_with("=false")).collect();
    format!("{kind}: {}", some.join(", "))
}

/// By query: whether the vector of the same number is the nearest.
fn found(queries: Vectors<'_>, gallery: Vectors<'_>) -> FoundItself {
    let own = |i: usize, list: &[crate::neighbours::Neighbour]| list.first().is_some_and(|n| n.index == i);
    let hits = nearest(&Exact::new(gallery), queries, 1, Exclude::None, own);
    let right = hits.iter().filter(|h| **h).count() as f64;
    let of = hits.len().max(1) as f64;
    FoundItself { share: right / of, interval: share_interval(right, of) }
}

/// Two-view consistency, and whether mirror images are found, in both spaces. No label is looked at.
///
/// # Errors
///
/// If there are not two images, they are features, which have no views, or they cannot be read.
pub fn consistency_protocol(
    encoder: &dyn Encoder,
    data: &Dataset,
    options: &ConsistencyOptions,
) -> Result<ConsistencyAnswer, ProtocolError> {
    let split = asked(data);
    if split.len() < 2 {
        return Err(EvalError::Empty(data.name.clone()).into());
    }
    if split.images.are_floats() {
        return Err(ProtocolError::NoViews(data.name.clone()));
    }
    let rows = sample::some(split.identities.keys(), options.most, options.seed);
    let images = split.images.select(&rows);
    // Two different seeds are two views.
    let keys = split.identities.select(&rows);
    let views = [0, 1].map(|view| options.augment.changed(&images, keys.keys(), 2 * options.seed + view));
    let [one, other] = views;
    let (one, other, mirror) = (one?, other?, images.mirrored()?);
    let pair = |a, b| -> Result<Spaces<FoundItself>, ProtocolError> {
        let image = with_pixels([a, b], |[a, b]| found(a, b))?;
        let (a, b) = (encoder.embed(a)?, encoder.embed(b)?);
        Ok(Spaces { image, feature: found(Vectors::Features(&a), Vectors::Features(&b)) })
    };
    Ok(ConsistencyAnswer {
        dataset: data.name.clone(),
        images: rows.len(),
        views_by: used(&options.augment),
        views: pair(&one, &other)?,
        mirror: pair(&images, &mirror)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{EncoderError, EncoderFacts};
    use crate::images::{Features, Images, Shape};

    /// The sum of an image's columns, so that a mirror image is the image itself; or the first pixel alone.
    struct Sums(EncoderFacts, bool);

    impl Encoder for Sums {
        fn facts(&self) -> &EncoderFacts {
            &self.0
        }

        fn embed(&self, images: &Images) -> Result<Features, EncoderError> {
            let mut scratch = Vec::new();
            let mut out = Vec::new();
            for i in 0..images.len() {
                let image = images.image(i, &mut scratch)?;
                if self.1 {
                    out.extend(
                        image.chunks_exact(4).map(|row| row.iter().map(|v| f32::from(*v)).sum::<f32>()),
                    );
                } else {
                    out.extend([f32::from(image[0]); 4]);
                }
            }
            Ok(Features::new(4, out))
        }
    }

    #[test]
    fn an_encoder_that_sees_no_mirror_finds_every_mirror_image() {
        let shape = Shape { h: 4, w: 4, c: 1 };
        let images = Images::new(shape, (0..40 * 16).map(|i: usize| (i * i % 241) as u8).collect());
        let split = Split::new(images, vec![0; 40]);
        let empty = Split::new(Images::new(shape, Vec::new()), Vec::new());
        let mut data = Dataset::new("x", "", vec!["no class".into()], split, empty);
        data.labelled = false;
        let facts = EncoderFacts {
            fingerprint: "sums".into(),
            preparation: data.preparation,
            dimension: 4,
            unit_length: false,
        };
        let options = ConsistencyOptions { augment: Augment::None, ..ConsistencyOptions::default() };
        let answer = consistency_protocol(&Sums(facts.clone(), true), &data, &options).unwrap();
        assert_eq!(answer.images, 40);
        assert_eq!(answer.mirror.feature.share, 1.0);
        // Views that do not differ are found in any space that tells images apart.
        assert_eq!((answer.views.feature.share, answer.views.image.share), (1.0, 1.0));
        // By pixels, counted one by one.
        let mirrored = data.train.images.mirrored().unwrap();
        let all = |images: &Images| -> Vec<Vec<u8>> {
            (0..40).map(|i| images.image(i, &mut Vec::new()).unwrap().to_vec()).collect()
        };
        let (plain, mirrored) = (all(&data.train.images), all(&mirrored));
        let far =
            |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum::<u64>();
        let right = (0..40usize)
            .filter(|&i| {
                (0..40).all(|j| j == i || far(&plain[i], &mirrored[i]) < far(&plain[i], &mirrored[j]))
            })
            .count();
        assert!((answer.mirror.image.share - right as f64 / 40.0).abs() < 1e-12);
        let few = consistency_protocol(&Sums(facts, false), &data, &options).unwrap();
        assert!(few.mirror.feature.share < 0.5, "{:?}", few.mirror.feature);
    }
}
