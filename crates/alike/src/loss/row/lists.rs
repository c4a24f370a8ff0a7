//! The positives and negatives of one anchor.

use super::Row;
use crate::loss::Batch;
use crate::mining::Tuples;

/// Room for the lists of one anchor.
#[derive(Default)]
pub(in crate::loss) struct RowLists {
    /// The references of each class that was met, in order.
    by_label: std::collections::HashMap<u32, Vec<u32>>,
    positives: Vec<u32>,
    negatives: Vec<u32>,
}

impl RowLists {
    pub(super) fn of_class<'a>(
        &'a mut self,
        batch: &Batch<'a>,
        anchor: usize,
        distances: &'a [f64],
        per_class: usize,
    ) -> Row<'a> {
        let label = batch.labels[anchor];
        self.positives.clear();
        let first = label * per_class as u32;
        self.positives.extend(first..first + per_class as u32);
        Row {
            anchor,
            label,
            distances,
            positives: &self.positives,
            negatives: &[],
            triplets: None,
            itself: None,
            weight: 1.0,
            length: 1.0,
            reference_lengths: &[],
        }
    }

    pub(in crate::loss) fn row<'a>(
        &'a mut self,
        batch: &Batch<'a>,
        anchor: usize,
        distances: &'a [f64],
        once: bool,
    ) -> Row<'a> {
        let label = batch.labels[anchor];
        let itself = batch.itself(anchor);
        let (mut triplets, RowLists { by_label, positives, negatives }) = (None, self);
        positives.clear();
        negatives.clear();
        match batch.tuples {
            Tuples::All => {
                let labels = batch.references.as_ref().map_or(batch.labels, |r| r.labels);
                let own = by_label.entry(label).or_insert_with(|| {
                    let of = labels.iter().enumerate().filter(|(_, other)| **other == label);
                    of.map(|(j, _)| j as u32).collect()
                });
                // Negatives are what lies between: runs, which are quicker than a look at every label.
                let mut next = 0;
                for j in own.iter() {
                    negatives.extend(next..*j);
                    next = j + 1;
                }
                negatives.extend(next..labels.len() as u32);
                positives.extend(own.iter().filter(|j| Some(**j as usize) != itself));
            }
            Tuples::Pairs { positives: p, negatives: n } => {
                positives.extend_from_slice(p.of(anchor));
                negatives.extend_from_slice(n.of(anchor));
            }
            Tuples::Triplets(all) => {
                let own = all.of(anchor);
                positives.extend(own.iter().map(|t| t[0]));
                negatives.extend(own.iter().map(|t| t[1]));
                triplets = Some(own);
            }
        }
        if once && !matches!(batch.tuples, Tuples::All) {
            for list in [&mut *positives, &mut *negatives] {
                list.sort_unstable();
                list.dedup();
            }
        }
        Row {
            anchor,
            label,
            distances,
            positives,
            negatives,
            triplets,
            itself,
            weight: 1.0,
            length: 1.0,
            reference_lengths: &[],
        }
    }
}
