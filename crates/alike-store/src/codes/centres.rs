//! The centres of codes: k-means of some vectors.

use alike::images::{Features, Vectors};
use alike::neighbours::{Exact, Exclude, nearest};

/// Rounds of k-means: more hardly narrow the codes.
const ROUNDS: usize = 6;

/// By vector: the nearest centre.
pub(super) fn nearest_centres(centres: &Features, vectors: &Features) -> Vec<usize> {
    let index = Exact::new(Vectors::Features(centres));
    nearest(&index, Vectors::Features(vectors), 1, Exclude::None, |_, list| {
        list.first().map_or(0, |n| n.index)
    })
}

/// So many centres, or fewer where there are fewer vectors.
pub(crate) fn centres(some: &Features, count: usize) -> Features {
    let (n, d) = (some.len(), some.d());
    let count = count.clamp(1, n.max(1));
    if n == 0 {
        return Features::new(d, vec![0.0; d]);
    }
    let begin: Vec<usize> = (0..count).map(|i| i * n / count).collect();
    let mut centres = some.select(&begin);
    for _ in 0..ROUNDS {
        let near = nearest_centres(&centres, some);
        let mut sums = vec![0f64; count * d];
        let mut counts = vec![0usize; count];
        for (row, centre) in some.rows().zip(&near) {
            counts[*centre] += 1;
            sums[centre * d..][..d].iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
        }
        let mut data = centres.into_data();
        for (centre, n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
            let to = &mut data[centre * d..][..d];
            to.iter_mut().zip(&sums[centre * d..][..d]).for_each(|(c, s)| *c = (s / *n as f64) as f32);
        }
        centres = Features::new(d, data);
    }
    // A mean of huge vectors may be none; any centre will do, only not well.
    let data = centres.into_data().into_iter().map(|v| if v.is_finite() { v } else { 0.0 }).collect();
    Features::new(d, data)
}
