//! How an encoder sees pictures best: which part of each, and whether with mirror images.

use super::JudgeBy;
use super::folds::{advantage, qualities, surest};
use crate::data::{Crop, Dataset};
use crate::encoder::{Encoder, EncoderError, Mirrored};
use crate::images::{Features, Images};
use crate::neighbours::Exclude;
use crate::sample;
use crate::train::{TrainError, divide};
use std::fmt;

/// Images that are judged, at most: they are embedded by every framing.
const MOST: usize = 400;

/// What an encoder is shown of each picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Framing {
    /// The part of each that it sees; nothing for what it says itself.
    pub crop: Option<Crop>,
    /// Whether mirror images are embedded too.
    pub flip: bool,
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.crop {
            None => f.write_str("default")?,
            Some(crop) if crop.is_whole() => f.write_str("whole")?,
            Some(crop) => write!(f, "{crop}")?,
        }
        if self.flip { f.write_str(", mirrored") } else { Ok(()) }
    }
}

/// What came of a framing.
#[derive(Clone, Debug, PartialEq)]
pub struct FramingScore {
    /// The framing.
    pub framing: Framing,
    /// The share of images whose nearest neighbour is of their class.
    pub accuracy: f64,
    /// The mean average precision at R.
    pub map_at_r: f64,
    /// The mean of the two, minus that of the first framing, with its 95 % interval.
    pub gain: f64,
    /// See `gain`.
    pub interval: [f64; 2],
}

/// The framing that was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct FramingChoice {
    /// Which.
    pub framing: Framing,
    /// All that were judged, the first first. None where there was nothing to judge by.
    pub scores: Vec<FramingScore>,
    /// Images that were judged.
    pub images: usize,
}

/// Chooses what an encoder is shown of each picture, by its embeddings of training images, each compared with all others: the framing whose
/// advantage over the first is surest, or the first where none is surely better. An image's score is that of [`choose_head`](super::choose_head).
/// Nothing is trained, so nothing has to be held out. `prepared` reads the data with another part kept. A framing whose embeddings are those of
/// an earlier one is left out, and so is one by which other pictures can be read.
///
/// # Errors
///
/// If the data cannot be read, a class to be left out is not there, or the encoder fails.
pub fn choose_framing<E: From<TrainError> + From<EncoderError>>(
    encoder: &dyn Encoder,
    framings: &[Framing],
    excluded: &[String],
    seed: u64,
    prepared: &mut dyn FnMut(Option<Crop>) -> Result<Dataset, E>,
) -> Result<FramingChoice, E> {
    let first = framings.first().copied().unwrap_or_default();
    let mut seen: Option<(Dataset, Vec<usize>)> = None;
    let mut embedded: Vec<(Framing, Features)> = Vec::new();
    // The images that are judged, by the part that was read last: with and without mirror images it is read once.
    let mut shown: Option<(Option<Crop>, Images)> = None;
    for framing in framings {
        if shown.as_ref().is_none_or(|(crop, _)| *crop != framing.crop) {
            let data = prepared(framing.crop)?;
            let rows = match &seen {
                Some((before, _)) if before.train.names != data.train.names => continue,
                Some((_, rows)) => rows,
                None => {
                    let rows = drawn(&data, excluded, seed)?;
                    &seen.insert((data.clone(), rows)).1
                }
            };
            shown = Some((framing.crop, data.train.images.select(rows)));
        }
        let Some((_, images)) = &shown else { continue };
        let features =
            if framing.flip { Mirrored::new(encoder).embed(images)? } else { encoder.embed(images)? };
        if embedded.iter().all(|(_, other)| other.data() != features.data()) {
            embedded.push((*framing, features));
        }
    }
    let none = FramingChoice { framing: first, scores: Vec::new(), images: 0 };
    let Some((data, rows)) = seen.filter(|(data, _)| data.labelled) else { return Ok(none) };
    let labels: Vec<u32> = rows.iter().map(|i| data.train.labels[*i]).collect();
    let groups: Vec<u32> = rows.iter().filter_map(|i| data.train.groups.get(*i).copied()).collect();
    let by_group = Exclude::Group { queries: &groups, gallery: &groups };
    let exclude = if groups.len() == labels.len() { by_group } else { Exclude::Itself };
    let score = |features: &Features| qualities((features, &labels), (features, &labels), exclude);
    let scores: Vec<Vec<Option<[f64; 2]>>> = embedded.iter().map(|(_, features)| score(features)).collect();
    let Some(own) = scores.first().filter(|own| own.iter().any(Option::is_some)) else { return Ok(none) };
    let judged_by = JudgeBy::of(&data, excluded);
    let units = (0..labels.len()).filter(|i| own[*i].is_some()).map(|i| match judged_by {
        JudgeBy::Class => labels[i],
        JudgeBy::Image => i as u32,
    });
    let units: Vec<u32> = units.collect();
    let both =
        |of: &[Option<[f64; 2]>]| of.iter().flatten().map(|s| (s[0] + s[1]) / 2.0).collect::<Vec<f64>>();
    let own = both(own);
    let mean = |of: &[Option<[f64; 2]>], which: usize| {
        of.iter().flatten().map(|s| s[which]).sum::<f64>() / units.len() as f64
    };
    let scores: Vec<FramingScore> = (embedded.iter().zip(&scores))
        .map(|((framing, _), its)| {
            let (gain, interval) = advantage(&own, &both(its), &units, seed);
            FramingScore { framing: *framing, accuracy: mean(its, 0), map_at_r: mean(its, 1), gain, interval }
        })
        .collect();
    let best = surest(scores.iter().map(|s| s.interval));
    Ok(FramingChoice { framing: scores[best].framing, images: units.len(), scores })
}

/// The training images that are judged.
fn drawn(data: &Dataset, excluded: &[String], seed: u64) -> Result<Vec<usize>, TrainError> {
    let trained = divide(data, excluded, 0.0, seed)?.0;
    let labels: Vec<u32> = trained.iter().map(|i| data.train.labels[*i]).collect();
    let keys: Vec<u64> = trained.iter().map(|i| data.train.identities.keys()[*i]).collect();
    let some = sample::stratified(&labels, &keys, MOST, 4, seed);
    let mut rows: Vec<usize> = some.into_iter().map(|i| trained[i]).collect();
    rows.sort_unstable();
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Place, Preparation, Split};
    use crate::encoder::EncoderFacts;
    use crate::images::Shape;

    /// An embedding is the image's pixels.
    struct Pixels(EncoderFacts);

    impl Encoder for Pixels {
        fn facts(&self) -> &EncoderFacts {
            &self.0
        }

        fn embed(&self, images: &Images) -> Result<Features, EncoderError> {
            let mut scratch = Vec::new();
            let mut out = Vec::new();
            for i in 0..images.len() {
                out.extend(images.image(i, &mut scratch)?.iter().map(|v| f32::from(*v)));
            }
            Ok(Features::new(self.0.dimension, out))
        }
    }

    const SHAPE: Shape = Shape { h: 1, w: 4, c: 1 };

    /// Ten images of each of eight classes: pixels of a class are alike where `told`.
    fn data(told: bool, seed: u64) -> Dataset {
        let hash = |a: u64, b: u64| (crate::rng::mix(a << 20 | b | seed << 50) % 256) as u8;
        let labels: Vec<u32> = (0..80).map(|i| i / 10).collect();
        let pixel = |i: usize, j: usize| {
            let (class, own) = (hash(labels[i].into(), j as u64), hash(1000 + i as u64, j as u64));
            if told { class / 2 + own / 8 } else { own }
        };
        let pixels = (0..80).flat_map(|i| (0..4).map(move |j| (i, j))).map(|(i, j)| pixel(i, j)).collect();
        let split = Split::new(Images::new(SHAPE, pixels), labels);
        Dataset::new("made", "made", (0..8).map(|c| format!("c{c}")).collect(), split.clone(), split)
    }

    fn choose(good: Option<Crop>, crops: &[Option<Crop>]) -> FramingChoice {
        let facts = EncoderFacts {
            preparation: Preparation::exact(SHAPE),
            dimension: 4,
            unit_length: false,
            fingerprint: "pixels".into(),
        };
        let framings: Vec<Framing> = crops.iter().map(|crop| Framing { crop: *crop, flip: false }).collect();
        let mut prepared = |crop: Option<Crop>| -> Result<Dataset, Box<dyn std::error::Error>> {
            Ok(data(crop == good, if crop == Some(Crop::WHOLE) { 3 } else { 1 }))
        };
        choose_framing(&Pixels(facts), &framings, &[], 1, &mut prepared).unwrap()
    }

    #[test]
    fn the_part_that_tells_classes_apart_is_chosen_and_the_first_where_none_does() {
        let (top, bottom) = (Some(Crop::At(Place::Top)), Some(Crop::At(Place::Bottom)));
        let crops = [None, Some(Crop::WHOLE), top, bottom];
        let choice = choose(bottom, &crops);
        assert_eq!((choice.framing.crop, choice.images), (bottom, 80), "{choice:?}");
        let [first, .., last] = &choice.scores[..] else { unreachable!() };
        assert!(last.accuracy > 0.9 && first.accuracy < 0.4 && last.interval[0] > 0.3, "{choice:?}");
        // What has the same embeddings is one framing.
        assert_eq!(choice.scores.len(), 3, "{choice:?}");
        assert_eq!(choose(Some(Crop::Middle(0.3)), &crops).framing, Framing::default());
        assert_eq!(choose(None, &crops).framing, Framing::default());
        assert_eq!(choose(None, &[top, bottom]).framing.crop, top, "the first that was asked for");
    }
}
