//! Progressive resizing: the first epochs see small images, which cost less, and the last ones full ones (Howard 2018,
//! <https://www.fast.ai/posts/2018-04-30-dawnbench-fastai.html>; Tan and Le 2021, "EfficientNetV2", <https://arxiv.org/abs/2104.00298>, section 4).
//!
//! Only training sees small images: whatever embeds afterwards sees full ones.

use super::{Settings, SettingsError};
use crate::images::Shape;
use crate::model::Network;
use alike_resize::{Kernel, Pixels};

/// The smallest share of the height and width.
const LEAST: f64 = 0.25;
/// The share of the epochs after which images have their full size.
const GROWN: f64 = 0.75;
/// Heights and widths of small images are multiples of this, so that networks can halve them twice.
const MULTIPLE: f64 = 4.0;

/// The size of training images by epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Resizing {
    /// The share of height and width in the first epoch.
    first: f64,
    /// Epochs until images have their full size; none where they have it throughout.
    growing: u64,
    epochs: u64,
    full: Shape,
}

impl Resizing {
    /// What the settings ask for, of images of this shape.
    pub(super) fn new(settings: &Settings, full: Shape) -> Resizing {
        // Full images stay as they are, whatever their sides are multiples of.
        let growing = if settings.first_size < 1.0 { (GROWN * settings.epochs as f64) as u64 } else { 0 };
        Resizing { first: settings.first_size, growing, epochs: settings.epochs, full }
    }

    /// Refuses a share that is impossible, and a network that cannot take the small images with the weights of the full ones.
    pub(super) fn check(&self, network: &Network) -> Result<(), SettingsError> {
        let refuse = |why: String| Err(SettingsError::new("first-size", self.first, why));
        if !(LEAST..=1.0).contains(&self.first) {
            return refuse(format!("it is a share from {LEAST} to 1"));
        }
        if self.first < 1.0 && self.full.is_features() {
            return refuse("the images are features, and only pictures are resized".into());
        }
        let parameters = |n: &Network| n.parameters().cloned().collect::<Vec<_>>();
        for small in self.shapes().filter(|s| *s != self.full) {
            match Network::new(network.spec().clone(), small) {
                Err(e) => return refuse(format!("at {small}, {e}")),
                Ok(n) if parameters(&n) != parameters(network) => {
                    return refuse(
                        "the network's weights depend on the size of images; end it with gap or gmp".into(),
                    );
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// The shape of images in an epoch, counted from 0.
    pub(super) fn shape(&self, epoch: u64) -> Shape {
        if epoch >= self.growing {
            return self.full;
        }
        let share = self.first + (1.0 - self.first) * epoch as f64 / self.growing as f64;
        let side =
            |full: usize| (((share * full as f64 / MULTIPLE).round() * MULTIPLE) as usize).clamp(1, full);
        Shape { h: side(self.full.h), w: side(self.full.w), ..self.full }
    }

    /// Every shape there is, some more than once.
    fn shapes(&self) -> impl Iterator<Item = Shape> + '_ {
        // A side grows by steps of `MULTIPLE`, so that many epochs have few shapes: a thousand of them see all.
        let stride = (self.growing / 1000).max(1) as usize;
        (0..=self.growing).step_by(stride).map(|epoch| self.shape(epoch))
    }

    /// The work of an epoch, as a share of one with full images.
    pub(super) fn work(&self, epoch: u64) -> f64 {
        self.shape(epoch).len() as f64 / self.full.len().max(1) as f64
    }

    /// The same of all epochs in the mean.
    pub(super) fn mean_work(&self) -> f64 {
        let growing = self.growing.min(self.epochs);
        let small: f64 = (0..growing).map(|epoch| self.work(epoch)).sum();
        (small + (self.epochs - growing) as f64) / self.epochs.max(1) as f64
    }
}

/// The work of many epochs as a share of that with full images, about: of a side that grows evenly to full size, and stays there.
pub(super) fn mean_work(first_size: f64) -> f64 {
    let growing = (1.0 + first_size + first_size * first_size) / 3.0;
    GROWN * growing + (1.0 - GROWN)
}

/// An image scaled down: every pixel is the weighted mean of what it covers.
pub(super) fn shrink(from: Shape, pixels: &[u8], to: Shape, out: &mut [u8]) {
    let picture = Pixels { size: [from.h, from.w], channels: from.c, bytes: pixels };
    let whole = [0.0, 0.0, from.w as f64, from.h as f64];
    let scaled = alike_resize::scale(picture, whole, [to.h, to.w], Kernel::Bilinear, out);
    scaled.unwrap_or_else(|why| unreachable!("an image of {from} can be scaled to {to}: {why}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dataset, DigitCounts, Split, digits};
    use crate::images::Images;
    use crate::train::{Observer, StepReport, TrainError, Training};
    use std::sync::atomic::{AtomicBool, Ordering};

    fn settings(first_size: f64, epochs: u64) -> Settings {
        Settings {
            network: "norm conv(8) maxpool(2) relu conv(8) gap l2".into(),
            loss: "proxy-anchor".into(),
            sampler: "random".parse().unwrap(),
            distance: None,
            reducer: None,
            batch_size: 20,
            epochs,
            first_size,
            ..Settings::seed_recipe("digits")
        }
    }

    /// Stops a run after its first epoch.
    struct AfterOne<'a>(&'a AtomicBool);

    impl Observer for AfterOne<'_> {
        fn step(&mut self, step: &StepReport) -> Result<(), TrainError> {
            self.0.store(step.step == step.steps, Ordering::Relaxed);
            Ok(())
        }
    }

    #[test]
    fn images_grow_to_their_full_size() {
        let full = Shape { h: 32, w: 24, c: 3 };
        let of = |epochs| Resizing::new(&settings(0.625, epochs), full);
        let sides = |epochs| (0..epochs).map(|e| of(epochs).shape(e)).map(|s| (s.h, s.w)).collect::<Vec<_>>();
        // 20, 23, 26 and 29 of 32 by hand, 15, 17.25, 19.5 and 21.75 of 24: the nearest multiples of 4.
        assert_eq!(sides(6), [(20, 16), (24, 16), (28, 20), (28, 20), (32, 24), (32, 24)]);
        assert_eq!(sides(1), [(32, 24)]);
        assert_eq!(sides(2), [(20, 16), (32, 24)]);
        let work = [320.0, 384.0, 560.0, 560.0, 768.0, 768.0].map(|pixels| pixels / 768.0);
        assert!((of(6).mean_work() - work.iter().sum::<f64>() / 6.0).abs() < 1e-12);
        assert_eq!(Resizing::new(&settings(1.0, 6), full).mean_work(), 1.0);
        let large = Resizing::new(&settings(0.625, 2000), Shape { h: 1024, w: 1024, c: 3 });
        assert!((large.mean_work() - mean_work(0.625)).abs() < 1e-3 && mean_work(1.0) == 1.0);
        for side in 1..70 {
            let full = Shape { h: side, w: 2 * side + 1, c: 1 };
            assert_eq!(Resizing::new(&settings(1.0, 8), full).shape(0), full, "as it is, unless asked for");
        }
    }

    #[test]
    fn a_small_image_is_the_mean_of_what_its_pixels_cover() {
        let (from, to) = (Shape { h: 1, w: 6, c: 3 }, Shape { h: 1, w: 3, c: 3 });
        let row = [0, 70, 140, 210, 70, 0];
        let pixels: Vec<u8> = row.iter().flat_map(|v| [*v, 255 - *v, 9]).collect();
        let mut out = [0; 9];
        shrink(from, &pixels, to, &mut out);
        // Triangles twice as wide as the pixels of the small image: weights 3, 3 and 1, and 1, 3, 3 and 1 within.
        let expected = [(3 * 70 + 140) / 7, (70 + 3 * 140 + 3 * 210 + 70) / 8, (210 + 3 * 70) / 7];
        for (pixel, value) in out.chunks_exact(3).zip(expected) {
            assert!(
                pixel[0].abs_diff(value as u8) <= 1 && pixel[1].abs_diff(255 - value as u8) <= 1,
                "{out:?}"
            );
            assert_eq!(pixel[2], 9);
        }
    }

    #[test]
    fn the_first_epoch_is_that_of_a_set_of_small_images() {
        let data = digits(DigitCounts { train: 100, test: 10 }, 3);
        let (full, small) = (data.shape(), Shape { h: 16, w: 16, c: 1 });
        let by_hand = |split: &Split| {
            let mut pixels = vec![0; split.len() * small.len()];
            for (i, out) in pixels.chunks_exact_mut(small.len()).enumerate() {
                shrink(full, split.images.image(i, &mut Vec::new()).unwrap(), small, out);
            }
            Split::new(Images::new(small, pixels), split.labels.clone())
        };
        let hand =
            Dataset::new("by hand", "", data.classes.clone(), by_hand(&data.train), by_hand(&data.test));
        let mut expected = Training::new(settings(1.0, 1), &hand).unwrap();
        expected.fit(&hand).unwrap();
        let mut grows = Training::new(settings(0.57, 2), &data).unwrap();
        let stop = AtomicBool::new(false);
        grows.run(&data, &mut [&mut AfterOne(&stop)], &stop).unwrap();
        assert_eq!(grows.parameters(), expected.parameters());
        // What embeds sees full images.
        assert_eq!(grows.embed(&data.test.images).unwrap().len(), 10);
        grows.fit(&data).unwrap();
        assert_ne!(grows.parameters(), expected.parameters());
    }

    #[test]
    fn what_cannot_be_resized_is_refused() {
        let data = digits(DigitCounts { train: 40, test: 10 }, 3);
        let why = |first: f64, network: &str| {
            let settings = Settings { network: network.into(), ..settings(first, 4) };
            Training::new(settings, &data).unwrap_err().to_string()
        };
        let usual = settings(1.0, 1).network;
        for share in [0.0, 0.2, 1.5, f64::NAN] {
            assert!(why(share, &usual).contains("a share from 0.25 to 1"), "{share}");
        }
        assert!(why(0.5, "norm conv(8) linear(8) l2").contains("end it with gap or gmp"));
        let deep = "norm conv(8) maxpool(2) maxpool(2) maxpool(2) maxpool(2) conv(8) gap l2";
        assert!(why(0.25, deep).starts_with("first-size cannot be 0.25: at 8x8"), "{}", why(0.25, deep));
    }
}
