//! Rotated classes: each class that is trained on, rotated by 90, 180 and 270 degrees, is a class of its own.
//!
//! They are classes of the training alone: no image is judged by them, a class that is left out of training is left out with its rotations, and
//! what is held out is held out with them. A rotated image is known by a number: that of the image, plus the number of all images for each quarter
//! turn. Classes likewise.

use super::{Settings, SettingsError, Start};
use crate::data::Dataset;
use crate::files::FileError;
use crate::images::{Images, Shape, turned};

/// A class as it is and rotated: so many classes.
pub(super) const QUARTERS: usize = 4;

/// Numbers of images and classes with those of their rotations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotations {
    /// 1 where nothing is rotated, or [`QUARTERS`].
    quarters: usize,
    images: usize,
    classes: usize,
}

/// How many there are of each image and class.
pub(super) fn copies(settings: &Settings) -> usize {
    if settings.rotations { QUARTERS } else { 1 }
}

impl Rotations {
    /// Those of a data set's images, if the settings ask for any.
    pub(super) fn new(settings: &Settings, data: &Dataset) -> Result<Rotations, SettingsError> {
        let shape = data.shape();
        let why = match shape {
            _ if !settings.rotations => None,
            s if s.is_features() => Some("the images are features, and only pictures are rotated".to_owned()),
            s if s.h != s.w => Some(format!(
                "a quarter turn of {s} does not fit: give --prepare size={0}x{0}, or another square",
                s.h.max(s.w)
            )),
            _ if settings.start == Start::Whitened => {
                Some("start whitened looks at images as they are: leave --rotations out".to_owned())
            }
            _ => None,
        };
        match why {
            Some(why) => Err(SettingsError::new("rotations", true, why)),
            None => Ok(Rotations {
                quarters: copies(settings),
                images: data.train.len(),
                classes: data.classes.len(),
            }),
        }
    }

    /// How many classes there are with rotated ones.
    pub(super) fn classes(&self) -> usize {
        self.classes * self.quarters
    }

    /// Images and their rotations, by number.
    pub(super) fn of(&self, images: &[usize]) -> Vec<usize> {
        (0..self.quarters).flat_map(|q| images.iter().map(move |i| i + q * self.images)).collect()
    }

    /// What names say of each class, for its rotations too.
    pub(super) fn names(&self, names: &[String]) -> Vec<String> {
        (0..self.quarters).flat_map(|_| names.iter().cloned()).collect()
    }

    /// The image that is rotated, or not.
    pub(super) fn image(&self, number: usize) -> usize {
        number % self.images.max(1)
    }

    /// By how many quarters.
    fn quarters(&self, number: usize) -> u8 {
        (number / self.images.max(1)) as u8
    }

    /// The class of an image, rotated or not.
    pub(super) fn label(&self, number: usize, labels: &[u32]) -> u32 {
        labels[self.image(number)] + u32::from(self.quarters(number)) * self.classes as u32
    }

    /// The class of every image, then of every one rotated by a quarter, and so on.
    pub(super) fn labels(&self, labels: &[u32]) -> Vec<u32> {
        (0..self.quarters * self.images).map(|number| self.label(number, labels)).collect()
    }

    /// The pixels of an image, rotated; nothing where it is as it is.
    pub(super) fn rotated(&self, number: usize, shape: Shape, pixels: &[u8]) -> Option<Vec<u8>> {
        match self.quarters(number) {
            0 => None,
            quarters => Some(turned(pixels, shape, quarters).1),
        }
    }

    /// Images by number, rotated where that says so.
    pub(super) fn images(&self, images: &Images, numbers: &[usize]) -> Result<Images, FileError> {
        let shape = images.shape();
        if self.quarters == 1 {
            return Ok(images.select(numbers));
        }
        let (mut pixels, mut scratch) = (Vec::with_capacity(numbers.len() * shape.len()), Vec::new());
        for number in numbers {
            let image = images.image(self.image(*number), &mut scratch)?;
            match self.rotated(*number, shape, image) {
                Some(rotated) => pixels.extend_from_slice(&rotated),
                None => pixels.extend_from_slice(image),
            }
        }
        Ok(Images::new(shape, pixels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DigitCounts, Split, digits};
    use crate::train::Training;

    fn settings(rotations: bool, exclude: &[&str]) -> Settings {
        Settings {
            network: "norm conv(8) maxpool(4) relu conv(8) gap l2".into(),
            loss: "proxy-anchor".into(),
            sampler: "random".parse().unwrap(),
            distance: None,
            reducer: None,
            batch_size: 20,
            epochs: 2,
            rotations,
            exclude_class: exclude.iter().map(|c| (*c).to_owned()).collect(),
            ..Settings::seed_recipe("digits")
        }
    }

    fn trained(settings: Settings, data: &Dataset) -> Vec<f32> {
        let mut training = Training::new(settings, data).unwrap();
        training.fit(data).unwrap();
        training.parameters().to_vec()
    }

    /// What a user would do by hand: a set with rotated images in classes of their own.
    fn by_hand(data: &Dataset) -> Dataset {
        let (n, shape) = (data.train.len(), data.shape());
        let (mut pixels, mut labels, mut classes) = (Vec::new(), Vec::new(), Vec::new());
        for quarters in 0..4u32 {
            for i in 0..n {
                let image = data.train.images.image(i, &mut Vec::new()).unwrap().to_vec();
                let (h, w) = (shape.h, shape.w);
                // (y, x) of an image that is rotated counter-clockwise comes from (x, w - 1 - y).
                let rotated = (0..quarters).fold(image, |from, _| {
                    (0..h * w).map(|at| from[(at % w) * w + w - 1 - at / w]).collect()
                });
                pixels.extend(rotated);
                labels.push(data.train.labels[i] + 10 * quarters);
            }
            classes.extend(data.classes.iter().map(|c| format!("{c}, {quarters} quarters")));
        }
        let train = Split::new(Images::new(shape, pixels), labels);
        Dataset::new("by hand", "", classes, train, data.test.clone())
    }

    #[test]
    fn a_class_is_left_out_with_its_rotations() {
        let data = digits(DigitCounts { train: 60, test: 10 }, 3);
        let hand = by_hand(&data);
        assert_eq!(trained(settings(true, &[]), &data), trained(settings(false, &[]), &hand));
        let out = ["4", "9"];
        let all: Vec<String> = (0..4).flat_map(|q| out.map(|c| format!("{c}, {q} quarters"))).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let without = trained(settings(true, &out), &data);
        assert_eq!(without, trained(settings(false, &all), &hand));
        assert_ne!(without, trained(settings(false, &["4, 0 quarters", "9, 0 quarters"]), &hand));
    }

    #[test]
    fn what_cannot_be_rotated_is_refused() {
        let of = |shape: Shape| {
            let split = || Split::new(Images::new(shape, vec![7; 2 * shape.len()]), vec![0, 1]);
            Dataset::new("d", "d", vec!["a".into(), "b".into()], split(), split())
        };
        let why =
            |settings: &Settings, data: &Dataset| Rotations::new(settings, data).unwrap_err().to_string();
        let wide = of(Shape { h: 4, w: 6, c: 3 });
        assert!(why(&settings(true, &[]), &wide).contains("--prepare size=6x6"));
        assert!(Rotations::new(&settings(false, &[]), &wide).is_ok());
        let whitened = Settings { start: Start::Whitened, ..settings(true, &[]) };
        assert!(why(&whitened, &of(Shape { h: 4, w: 4, c: 1 })).contains("whitened"));
        let features = || Split::new(Images::from_features(2, &[0.5; 4]), vec![0, 1]);
        let features = Dataset::new("d", "d", vec!["a".into(), "b".into()], features(), features());
        assert!(why(&settings(true, &[]), &features).contains("only pictures are rotated"));
    }
}
