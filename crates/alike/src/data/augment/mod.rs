//! Changing images as training sees them: shifted, turned, blurred, lit otherwise.
//!
//! How an image is changed depends on the seed, the epoch, the image and its view, and on nothing else. Nothing is flipped
//! unless asked for: a flipped letter is another letter.

mod paint;
mod shift;
mod warp;

use crate::files::FileError;
use crate::images::{Images, Shape};
use crate::rng::{Purpose, RngExt, stream};
use crate::text::{self, Choice};
use paint::{blur, byte, cut_out, erase};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use shift::shift;

/// How images are changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Augment {
    /// Not at all.
    None,
    /// As the values say, none of which is set.
    Custom(Changes),
    /// Small shifts, turns and shears: for characters and other drawings.
    Affine(Affine),
    /// Shifts by whole pixels and mirror images, which keep every shade as it is: for photos, where passes are few.
    Photo(Photo),
}

/// Strengths; zero leaves a kind of change out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Changes {
    /// Moved down by up to this share of the height and across by up to this share of the width, either way.
    pub shift: f64,
    /// Turned by up to so many degrees.
    pub rotate: f64,
    /// Larger or smaller by up to this share.
    pub scale: f64,
    /// Slanted: rows rise or fall by up to so many pixels for every pixel across.
    pub shear: f64,
    /// Bent: points of a coarse grid move by up to this share of the shorter side.
    pub elastic: f64,
    /// A random part of at least `1 - crop` of the side is enlarged to the whole.
    pub crop: f64,
    /// The probability of a mirror image.
    pub flip: f64,
    /// Whether an image is mirrored in every other epoch instead, beginning with the first or the second as `flip` says: so that each
    /// is seen from both sides (Jordan 2024, <https://arxiv.org/abs/2404.00498>, section 3.6).
    pub alternate: bool,
    /// Moved by whole pixels, down by up to this share of the height and across by up to this share of the width, either way; beyond its
    /// edges the image goes on mirrored.
    pub pad: f64,
    /// Brighter or darker by up to this share of white.
    pub brightness: f64,
    /// More or less contrast by up to this share.
    pub contrast: f64,
    /// Each channel stronger or weaker by up to this share.
    pub colour: f64,
    /// Noise of this share of white, as a standard deviation.
    pub noise: f64,
    /// The probability of a blur over 3 x 3 pixels.
    pub blur: f64,
    /// The probability that a rectangle of up to a third of each side is filled with one random value.
    pub erase: f64,
    /// A square of this share of the shorter side, anywhere within the image, is filled with its mean (DeVries and Taylor 2017,
    /// <https://arxiv.org/abs/1708.04552>).
    pub cutout: f64,
}

/// See [`Augment::Affine`]: strengths as in [`Changes`], with defaults.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Affine {
    /// See [`Changes::shift`].
    pub shift: f64,
    /// See [`Changes::rotate`].
    pub rotate: f64,
    /// See [`Changes::scale`].
    pub scale: f64,
    /// See [`Changes::shear`].
    pub shear: f64,
    /// See [`Changes::elastic`].
    pub elastic: f64,
}

impl Default for Affine {
    fn default() -> Affine {
        Affine { shift: 0.07, rotate: 12.0, scale: 0.1, shear: 0.1, elastic: 0.0 }
    }
}

/// See [`Augment::Photo`]: strengths as in [`Changes`], with defaults.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Photo {
    /// See [`Changes::pad`].
    pub pad: f64,
    /// See [`Changes::flip`].
    pub flip: f64,
    /// See [`Changes::alternate`].
    pub alternate: bool,
    /// See [`Changes::cutout`].
    pub cutout: f64,
}

impl Default for Photo {
    fn default() -> Photo {
        Photo { pad: 0.125, flip: 0.5, alternate: true, cutout: 0.0 }
    }
}

impl Choice for Augment {
    const WHAT: &'static str = "augmentation";

    fn all() -> Vec<Augment> {
        vec![
            Augment::None,
            Augment::Affine(Affine::default()),
            Augment::Photo(Photo::default()),
            Augment::Custom(Changes::default()),
        ]
    }
}

impl std::str::FromStr for Augment {
    type Err = text::ChoiceError;

    fn from_str(s: &str) -> Result<Augment, text::ChoiceError> {
        text::parse(s)
    }
}

impl Augment {
    /// The strengths, if there are any.
    pub fn changes(&self) -> Option<Changes> {
        match *self {
            Augment::None => None,
            Augment::Custom(changes) => Some(changes),
            Augment::Affine(Affine { shift, rotate, scale, shear, elastic }) => {
                Some(Changes { shift, rotate, scale, shear, elastic, ..Changes::default() })
            }
            Augment::Photo(Photo { pad, flip, alternate, cutout }) => {
                Some(Changes { pad, flip, alternate, cutout, ..Changes::default() })
            }
        }
    }

    /// Every image, changed as in a first epoch. How each is changed follows from its key, such as one of
    /// [`Identities::keys`](crate::identity::Identities::keys), and the seed, wherever it stands among the others.
    ///
    /// # Errors
    ///
    /// If an image cannot be read.
    ///
    /// # Panics
    ///
    /// If there are not as many keys as images.
    pub fn changed(&self, images: &Images, keys: &[u64], seed: u64) -> Result<Images, FileError> {
        let Some(changes) = self.changes() else { return Ok(images.clone()) };
        assert_eq!(keys.len(), images.len(), "a key for every image");
        let shape = images.shape();
        let mut data = vec![0; images.len() * shape.len()];
        data.par_chunks_mut(shape.len()).enumerate().try_for_each_init(Vec::new, |scratch, (i, to)| {
            let occasion = Occasion { seed, step: 0, epoch: 0, image: keys[i], view: 0 };
            changes.apply(shape, occasion, images.image(i, scratch)?, to);
            Ok(())
        })?;
        Ok(Images::new(shape, data))
    }

    /// Why a strength is impossible, if one is.
    pub fn refusal(&self) -> Option<String> {
        for (key, value) in self.values() {
            if value.is_boolean() {
                continue;
            }
            let most = if key == "rotate" { 180.0 } else { 1.0 };
            if !value.as_f64().is_some_and(|v| (0.0..=most).contains(&v)) {
                return Some(format!("augmentation: {key} is a number from 0 to {most}, not {value}"));
            }
        }
        None
    }
}

/// Which change of which image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occasion {
    /// The run's seed.
    pub seed: u64,
    /// Steps since the run began: an image that comes twice in an epoch comes differently.
    pub step: u64,
    /// Epochs before this one.
    pub epoch: u64,
    /// The image.
    pub image: u64,
    /// Which of its views.
    pub view: u64,
}

impl Occasion {
    /// Which draw: an image and one of its views. An image may be any 64 bits, so the product wraps.
    fn which(&self) -> u64 {
        self.image.wrapping_mul(8).wrapping_add(self.view)
    }
}

impl Changes {
    /// Writes a changed image.
    ///
    /// # Panics
    ///
    /// If the bytes are not those of one image of this shape.
    pub fn apply(&self, shape: Shape, occasion: Occasion, from: &[u8], to: &mut [u8]) {
        assert!(from.len() == shape.len() && to.len() == shape.len(), "augment: one image");
        let mut rng = stream(occasion.seed, Purpose::Augment, occasion.step, occasion.which());
        let warps = self.warps();
        if warps {
            self.warp(shape, &mut rng, from, to);
        }
        let mirror = self.alternate && self.is_mirrored(occasion);
        if self.pad > 0.0 || mirror {
            let mut by = |side: usize| {
                let most = (self.pad * side as f64).round() as i64;
                rng.random_range(-most..=most) as isize
            };
            let by = [by(shape.h), by(shape.w)];
            if warps {
                let moved = to.to_vec();
                shift(shape, by, mirror, &moved, to);
            } else {
                shift(shape, by, mirror, from, to);
            }
        } else if !warps {
            to.copy_from_slice(from);
        }
        if self.blur > 0.0 && rng.random::<f64>() < self.blur {
            blur(shape, to);
        }
        if self.brightness > 0.0 || self.contrast > 0.0 || self.colour > 0.0 {
            self.light(shape, &mut rng, to);
        }
        if self.noise > 0.0 {
            for v in to.iter_mut() {
                // Twelve uniform numbers are near enough to normal; four are, for noise.
                let normal = ((0..4).map(|_| rng.random::<f32>()).sum::<f32>() - 2.0) * 1.732;
                *v = byte(f32::from(*v) + 255.0 * self.noise as f32 * normal);
            }
        }
        if self.erase > 0.0 && rng.random::<f64>() < self.erase {
            erase(shape, &mut rng, to);
        }
        if self.cutout > 0.0 {
            cut_out(shape, self.cutout, &mut rng, to);
        }
    }

    /// Whether an image is mirrored in this epoch, where that alternates.
    fn is_mirrored(&self, occasion: Occasion) -> bool {
        // Steps begin with 0; this draw is of no step.
        let first =
            stream(occasion.seed, Purpose::Augment, u64::MAX, occasion.which()).random::<f64>() < self.flip;
        first == occasion.epoch.is_multiple_of(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { h: 9, w: 7, c: 2 };

    fn picture() -> Vec<u8> {
        (0..SHAPE.len()).map(|i| (i * 37 % 251) as u8).collect()
    }

    fn changed(text: &str, occasion: Occasion) -> Vec<u8> {
        let augment: Augment = text.parse().unwrap();
        let mut to = vec![0; SHAPE.len()];
        augment.changes().unwrap().apply(SHAPE, occasion, &picture(), &mut to);
        to
    }

    #[test]
    fn an_image_is_changed_alike_wherever_it_stands() {
        let shape = Shape { h: 9, w: 7, c: 1 };
        let image = |i: usize| (0..63).map(|at| ((at + 5) * (i + 3) * 37 % 251) as u8).collect::<Vec<u8>>();
        let set = |order: &[usize]| {
            let keys: Vec<u64> = order.iter().map(|i| crate::rng::mix(*i as u64)).collect();
            (Images::new(shape, order.iter().flat_map(|i| image(*i)).collect()), keys)
        };
        let augment: Augment = "custom:shift=0.2,rotate=20,flip=0.5,noise=0.1,erase=0.5".parse().unwrap();
        let ((one, its), (other, others)) = (set(&[0, 1, 2, 3]), set(&[2, 0, 3, 1]));
        let one = augment.changed(&one, &its, 7).unwrap();
        let other = augment.changed(&other, &others, 7).unwrap();
        assert_eq!(one.select(&[2, 0, 3, 1]), other);
        assert_ne!(one, set(&[0, 1, 2, 3]).0);
    }

    const FIRST: Occasion = Occasion { seed: 1, step: 2, epoch: 0, image: 3, view: 0 };

    #[test]
    fn every_kind_of_change_changes_and_repeats_itself_by_occasion_alone() {
        for key in [
            "shift=0.3",
            "rotate=30",
            "scale=0.4",
            "shear=0.4",
            "elastic=0.2",
            "crop=0.5",
            "flip=1",
            "brightness=0.4",
            "contrast=0.6",
            "colour=0.5",
            "noise=0.2",
            "blur=1",
            "erase=1",
            "pad=0.5",
            "cutout=0.6",
        ] {
            let text = format!("custom:{key}");
            let once = changed(&text, FIRST);
            assert_ne!(once, picture(), "{key}");
            assert_eq!(once, changed(&text, FIRST), "{key}");
            let others = [
                Occasion { seed: 9, ..FIRST },
                Occasion { step: 9, ..FIRST },
                Occasion { image: 9, ..FIRST },
                Occasion { view: 1, ..FIRST },
            ];
            let same = others.iter().filter(|o| changed(&text, **o) == once).count();
            let always = ["flip=1", "blur=1"].contains(&key);
            assert_eq!(same, if always { 4 } else { 0 }, "{key}");
        }
    }

    #[test]
    fn mirror_images_alternate_by_epoch_and_half_of_the_images_begin_so() {
        let at = |image: u64, epoch: u64| {
            let mirrored = changed("custom:flip=1", FIRST);
            let found = changed("photo:pad=0", Occasion { image, epoch, ..FIRST });
            assert!(found == mirrored || found == picture());
            found == mirrored
        };
        let first = (0..400).filter(|i| at(*i, 0)).count();
        assert!((150..250).contains(&first), "{first}");
        for image in 0..20 {
            for epoch in 0..4 {
                assert_ne!(at(image, epoch), at(image, epoch + 1));
            }
        }
    }

    #[test]
    fn a_mirror_image_is_the_image_mirrored() {
        let mirrored = changed("custom:flip=1", FIRST);
        for y in 0..SHAPE.h {
            for x in 0..SHAPE.w {
                let at = |x: usize| (y * SHAPE.w + x) * SHAPE.c;
                assert_eq!(mirrored[at(x)..at(x) + 2], picture()[at(SHAPE.w - 1 - x)..][..2]);
            }
        }
    }

    #[test]
    fn no_strength_is_no_change_and_impossible_ones_are_refused() {
        assert_eq!(changed("custom", FIRST), picture());
        assert_eq!("none".parse::<Augment>().unwrap().changes(), None);
        assert!("affine:shift=2".parse::<Augment>().unwrap().refusal().unwrap().contains("shift"));
        assert!("affine".parse::<Augment>().unwrap().refusal().is_none());
        assert!("afine".parse::<Augment>().unwrap_err().to_string().contains("did you mean 'affine'"));
    }
}
