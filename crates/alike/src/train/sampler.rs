//! The seed's sampler: one triplet an anchor and epoch, drawn uniformly.

use crate::rng::{Purpose, Rng, RngExt, SliceRandom, stream};

/// Draws triplets: a positive of the anchor's class, and a negative of a uniformly drawn other class.
#[derive(Clone, Debug)]
pub struct TripletSampler {
    seed: u64,
    /// The images that take part.
    anchors: Vec<usize>,
    /// By image: which of `classes` it belongs to.
    class_of: Vec<usize>,
    /// The images of each class that takes part.
    classes: Vec<Vec<usize>>,
}

/// No triplet can be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplerError {
    /// A class has no second image.
    #[error(
        "class '{class}' has only one image, so an anchor of it has no positive: add images of it, or train without it \
         (--exclude-class {class})"
    )]
    Single {
        /// Its name.
        class: String,
    },
    /// There is nothing to be different from.
    #[error(
        "triplets need at least two classes, and {found}: negatives come from another class, so add images of a second \
         class or exclude fewer"
    )]
    TooFewClasses {
        /// What is there instead.
        found: String,
    },
    /// There are not as many categories of classes as a batch should have.
    #[error(
        "a batch of {asked} categories with {classes} classes each cannot be drawn: there are {found} such categories (a class \
         called CATEGORY/CLASS is of that category)"
    )]
    TooFewCategories {
        /// What was asked for.
        asked: usize,
        /// What was asked for.
        classes: usize,
        /// What is there.
        found: usize,
    },
    /// There are not as many classes as a batch should have.
    #[error(
        "a batch of {classes} classes with {images} images each cannot be drawn: there are only {found} classes"
    )]
    TooFewForPk {
        /// What was asked for.
        classes: usize,
        /// What was asked for.
        images: usize,
        /// What is there.
        found: usize,
    },
}

impl TripletSampler {
    /// A sampler over the images at `indices`, whose labels are looked up in `labels` and named by `names`.
    ///
    /// # Errors
    ///
    /// If there are fewer than two classes, or none has two images.
    pub fn new(
        labels: &[u32],
        names: &[String],
        indices: &[usize],
        seed: u64,
    ) -> Result<TripletSampler, SamplerError> {
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
        for &i in indices {
            members[labels[i] as usize].push(i);
        }
        if let Some(lonely) = members.iter().position(|m| m.len() == 1) {
            return Err(SamplerError::Single { class: names[lonely].clone() });
        }
        let present: Vec<usize> = (0..members.len()).filter(|&c| !members[c].is_empty()).collect();
        if present.len() < 2 {
            let found = match present[..] {
                [] => "no image is left".to_owned(),
                [one, ..] => format!("all {} images are of class '{}'", members[one].len(), names[one]),
            };
            return Err(SamplerError::TooFewClasses { found });
        }
        let mut class_of = vec![0; labels.len()];
        let classes: Vec<Vec<usize>> = present.iter().map(|&c| std::mem::take(&mut members[c])).collect();
        for (class, images) in classes.iter().enumerate() {
            for &i in images {
                class_of[i] = class;
            }
        }
        Ok(TripletSampler { seed, anchors: indices.to_vec(), class_of, classes })
    }

    /// How many anchors an epoch has.
    pub fn anchors(&self) -> usize {
        self.anchors.len()
    }

    /// The anchors of `epoch` in their order.
    pub fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order = self.anchors.clone();
        order.shuffle(&mut stream(self.seed, Purpose::Order, epoch, 0));
        order
    }

    /// The positive and the negative of `anchor` in `epoch`.
    pub fn draw(&self, epoch: u64, anchor: usize) -> (usize, usize) {
        let mut rng = stream(self.seed, Purpose::Triplet, epoch, anchor as u64);
        let class = self.class_of[anchor];
        let same = &self.classes[class];
        // Another image than the anchor: the draw skips its place, which is found by search because lists ascend.
        let own = same.binary_search(&anchor).unwrap_or_else(|_| unreachable!("an anchor is of its class"));
        let positive = same[skip(&mut rng, same.len(), own)];
        let other = &self.classes[skip(&mut rng, self.classes.len(), class)];
        (positive, other[rng.random_range(0..other.len())])
    }

    /// All anchors, then their positives, then their negatives.
    pub fn batch(&self, epoch: u64, anchors: &[usize], into: &mut Vec<usize>) {
        let n = anchors.len();
        into.clear();
        into.extend_from_slice(anchors);
        into.resize(3 * n, 0);
        for (i, &anchor) in anchors.iter().enumerate() {
            (into[n + i], into[2 * n + i]) = self.draw(epoch, anchor);
        }
    }
}

/// A uniform draw from `0..n` without `not`.
fn skip(rng: &mut Rng, n: usize, not: usize) -> usize {
    let i = rng.random_range(0..n - 1);
    i + usize::from(i >= not)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("c{i}")).collect()
    }

    #[test]
    fn triplets_are_what_they_are_called_and_negative_classes_are_drawn_evenly() {
        // Very unequal classes: the class is drawn first, then the image.
        let labels: Vec<u32> = (0..1000).map(|i| if i < 900 { 0 } else { 1 + i % 2 }).collect();
        let indices: Vec<usize> = (0..1000).filter(|i| i % 5 > 0).collect();
        let sampler = TripletSampler::new(&labels, &names(4), &indices, 1).unwrap();
        let mut negatives = [0; 3];
        let order = sampler.order(3);
        for &a in order.iter().filter(|a| labels[**a] == 1) {
            for epoch in 0..50 {
                let (p, n) = sampler.draw(epoch, a);
                assert!(p != a && labels[p] == labels[a] && labels[n] != labels[a]);
                assert!(p % 5 > 0 && n % 5 > 0, "only the chosen images");
                negatives[labels[n] as usize] += 1;
            }
        }
        let share = f64::from(negatives[0]) / f64::from(negatives.iter().sum::<i32>());
        assert!((share - 0.5).abs() < 0.05, "{share}");
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, indices);
        assert_ne!(order, sampler.order(4));
    }

    #[test]
    fn impossible_sets_are_refused_with_what_can_be_done() {
        let message = |labels: &[u32]| {
            let all: Vec<usize> = (0..labels.len()).collect();
            TripletSampler::new(labels, &names(3), &all, 1).unwrap_err().to_string()
        };
        assert!(message(&[0, 0, 1]).contains("class 'c1' has only one image"));
        assert!(message(&[2, 2, 2]).contains("all 3 images are of class 'c2'"));
        assert!(message(&[]).contains("no image is left"));
    }
}
