//! Choosing which images and classes take part.

use super::{Dataset, Split};
use crate::rng::{Purpose, SliceRandom, stream};

/// A class was named that a data set does not have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{dataset} has no class '{name}'{hint} (its classes: {known})")]
pub struct ClassError {
    dataset: String,
    name: String,
    hint: String,
    known: String,
}

/// The label of the class called `name`.
pub fn find_class(dataset: &Dataset, name: &str) -> Result<u32, ClassError> {
    dataset.classes.iter().position(|c| c == name).map(|i| i as u32).ok_or_else(|| ClassError {
        dataset: dataset.name.clone(),
        name: name.to_owned(),
        hint: crate::suggest::did_you_mean(name, dataset.classes.iter().map(String::as_str)),
        known: dataset.classes.join(", "),
    })
}

/// The indices of the images whose class is not in `excluded`.
pub fn exclude(labels: &[u32], excluded: &[u32]) -> Vec<usize> {
    (0..labels.len()).filter(|&i| !excluded.contains(&labels[i])).collect()
}

/// Cuts `indices` into what stays for training and what is held out for validation, class by class: `fraction` of each
/// class, rounded, but never its last two images. Both lists are ascending.
pub fn hold_out(split: &Split, indices: &[usize], fraction: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let classes = split.labels.iter().max().map_or(0, |m| m + 1);
    let (mut stay, mut out) = (Vec::new(), Vec::new());
    for class in 0..classes {
        let mut members: Vec<usize> = indices.iter().copied().filter(|&i| split.labels[i] == class).collect();
        members.shuffle(&mut stream(seed, Purpose::Validation, u64::from(class), 0));
        let held = ((members.len() as f64 * fraction).round() as usize).min(members.len().saturating_sub(2));
        out.extend_from_slice(&members[..held]);
        stay.extend_from_slice(&members[held..]);
    }
    stay.sort_unstable();
    out.sort_unstable();
    (stay, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::{Images, Shape};

    #[test]
    fn validation_takes_its_share_of_every_class_and_overlaps_nothing() {
        let labels: Vec<u32> = (0..100).map(|i| u32::from(i >= 60)).chain([2, 2]).collect();
        let split = Split { images: Images::new(Shape { h: 1, w: 1, c: 1 }, vec![0; 102]), labels };
        let indices = exclude(&split.labels, &[]);
        let (stay, out) = hold_out(&split, &indices, 0.1, 7);
        let count = |list: &[usize], class| list.iter().filter(|&&i| split.labels[i] == class).count();
        assert_eq!([count(&out, 0), count(&out, 1), count(&out, 2)], [6, 4, 0]);
        assert_eq!(stay.len() + out.len(), 102);
        assert!(out.iter().all(|i| !stay.contains(i)));
        assert_ne!(out, hold_out(&split, &indices, 0.1, 8).1, "another seed holds out others");
    }
}
