//! Pairs and triplets, by their anchors.

/// Items of each anchor, back to back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists<T> {
    /// Where each anchor's items end.
    ends: Vec<usize>,
    items: Vec<T>,
}

impl<T: Copy> Lists<T> {
    /// Builds lists for so many anchors. `fill` appends the items of one anchor.
    pub fn build(anchors: usize, mut fill: impl FnMut(usize, &mut Vec<T>)) -> Lists<T> {
        let (mut ends, mut items) = (Vec::with_capacity(anchors), Vec::new());
        for anchor in 0..anchors {
            fill(anchor, &mut items);
            ends.push(items.len());
        }
        Lists { ends, items }
    }

    /// Builds lists from `(anchor, item)` in any order of anchors; the items of an anchor keep their order.
    pub fn gather(anchors: usize, all: impl IntoIterator<Item = (usize, T)>) -> Lists<T> {
        let mut by_anchor: Vec<(usize, T)> = all.into_iter().collect();
        by_anchor.sort_by_key(|(anchor, _)| *anchor);
        let mut next = by_anchor.into_iter().peekable();
        Lists::build(anchors, |anchor, items| {
            while let Some((_, item)) = next.next_if(|(a, _)| *a == anchor) {
                items.push(item);
            }
        })
    }

    /// The items of an anchor.
    ///
    /// # Panics
    ///
    /// If there is no such anchor.
    pub fn of(&self, anchor: usize) -> &[T] {
        let begin = if anchor == 0 { 0 } else { self.ends[anchor - 1] };
        &self.items[begin..self.ends[anchor]]
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many anchors.
    pub fn anchors(&self) -> usize {
        self.ends.len()
    }
}

/// The pairs or triplets that a loss looks at: positions of references, for each anchor of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tuples {
    /// Every pair and every triplet that the labels make.
    #[default]
    All,
    /// These positives and negatives.
    Pairs {
        /// Of each anchor.
        positives: Lists<u32>,
        /// Of each anchor.
        negatives: Lists<u32>,
    },
    /// These triplets: a positive and a negative.
    Triplets(Lists<[u32; 2]>),
}

impl Tuples {
    /// How often each of `n` images takes part, divided by the largest of these counts; all ones for [`Tuples::All`], and where
    /// there is no tuple. `references_apart` says that tuples name references outside the batch, so that only anchors count.
    ///
    /// # Panics
    ///
    /// If tuples name an image beyond `n`.
    pub fn weights(&self, n: usize, references_apart: bool) -> Vec<f64> {
        let mut counts = vec![0u64; n];
        let mut add = |anchor: usize, others: &[u32]| {
            if !references_apart {
                others.iter().for_each(|j| counts[*j as usize] += 1);
            }
            counts[anchor] += 1;
        };
        match self {
            Tuples::All => {}
            Tuples::Pairs { positives, negatives } => {
                for (anchor, list) in (0..n).flat_map(|a| [(a, positives.of(a)), (a, negatives.of(a))]) {
                    list.iter().for_each(|j| add(anchor, &[*j]));
                }
            }
            Tuples::Triplets(lists) => {
                for anchor in 0..n {
                    lists.of(anchor).iter().for_each(|pair| add(anchor, pair));
                }
            }
        }
        let most = counts.iter().copied().max().unwrap_or(0);
        if most == 0 {
            return vec![1.0; n];
        }
        counts.into_iter().map(|c| c as f64 / most as f64).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_gather_what_belongs_to_an_anchor() {
        let lists = Lists::gather(3, [(2, 7u32), (0, 5), (2, 6)]);
        assert_eq!((lists.of(0), lists.of(1), lists.of(2)), (&[5][..], &[][..], &[7, 6][..]));
        assert_eq!((lists.len(), lists.anchors()), (3, 3));
    }

    #[test]
    fn weights_count_how_often_an_image_takes_part() {
        let triplets = Tuples::Triplets(Lists::gather(3, [(0, [1u32, 2]), (1, [0, 2])]));
        assert_eq!(triplets.weights(3, false), [1.0; 3]);
        assert_eq!(triplets.weights(3, true), [1.0, 1.0, 0.0]);
        assert_eq!(Tuples::All.weights(2, false), [1.0; 2]);
    }
}
