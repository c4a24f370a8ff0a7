//! Validation while training: an observer.

use super::vote;
use crate::data::{Dataset, Split};
use crate::images::Vectors;
use crate::neighbours::{Exact, Exclude, nearest};
use crate::train::{Observer, TrainError, View};
use std::collections::BTreeSet;

/// After each epoch, 1-NN accuracy of the part that was held out, against what is trained on; marks the best epoch.
#[derive(Debug)]
pub struct Validator {
    gallery: Split,
    queries: Split,
    /// Whether the queries answer each other: where none of their classes is trained on.
    own: bool,
}

/// Where the best accuracy so far stands in a checkpoint.
const BEST: &str = "best-validation";

impl Validator {
    /// A validator over the given training images.
    pub fn new(data: &Dataset, trained: &[usize], held_out: &[usize]) -> Validator {
        let (gallery, queries) = (data.train.select(trained), data.train.select(held_out));
        let known: BTreeSet<u32> = gallery.labels.iter().copied().collect();
        let own = !queries.labels.iter().any(|l| known.contains(l));
        Validator { gallery: if own { queries.clone() } else { gallery }, queries, own }
    }
}

impl Observer for Validator {
    fn pause(&mut self, view: &mut View<'_>) -> Result<(), TrainError> {
        let Some(report) = view.epoch.as_deref_mut() else { return Ok(()) };
        let queries = view.training.embed(&self.queries.images)?;
        let gallery = if self.own { queries.clone() } else { view.training.embed(&self.gallery.images)? };
        let right = nearest(
            &Exact::new(Vectors::Features(&gallery)),
            Vectors::Features(&queries),
            1,
            Exclude::itself(self.own),
            |q, list| {
                !list.is_empty() && vote(&[self.gallery.labels[list[0].index]]) == self.queries.labels[q]
            },
        );
        let accuracy = right.iter().filter(|r| **r).count() as f64 / right.len().max(1) as f64;
        report.validation = Some(accuracy);
        let best = view.notes.get(BEST).and_then(serde_json::Value::as_f64).unwrap_or(-1.0);
        if accuracy > best {
            view.notes.insert(BEST.into(), accuracy.into());
            view.notes.insert("is-best".into(), true.into());
        }
        Ok(())
    }
}
