//! From many dimensions to few, and how vectors vary in them.

mod covariance;
mod pca;
#[cfg(feature = "projection")]
mod tsne;
#[cfg(feature = "projection")]
mod umap;

pub(crate) use covariance::{covariance, mean, shrunk};
pub use pca::Pca;
pub(crate) use pca::leading;
#[cfg(feature = "projection")]
pub use tsne::{TSNE_NEIGHBOURS, tsne};
#[cfg(feature = "projection")]
pub use umap::umap;

#[cfg(all(test, feature = "projection"))]
mod heaps {
    use crate::images::{Features, Vectors};
    use crate::neighbours::{Exact, Exclude, Neighbour, nearest};
    use alike_kernels::Tier;

    /// Three heaps of forty in five dimensions, each vector's `k` nearest, and a beginning on a line where they are mixed.
    pub(super) fn heaps(k: usize) -> (Vec<Vec<Neighbour>>, Vec<[f64; 2]>) {
        let value = |i: usize| ((i as f64 * 0.618_034).fract() - 0.5) as f32;
        let data = (0..120)
            .flat_map(|i| (0..5).map(move |k| if k == i / 40 { 6.0 } else { value(i * 5 + k) }))
            .collect();
        let features = Features::new(5, data);
        let v = Vectors::Features(&features);
        let lists =
            nearest(&Exact::with_tier(Tier::available()[0], v), v, k, Exclude::Itself, |_, l| l.to_vec());
        (lists, (0..120).map(|i| [(i % 40) as f64 - 20.0, 0.0]).collect())
    }

    /// Points whose nearest other is of their own heap.
    pub(super) fn beside_their_own(map: &[[f64; 2]]) -> usize {
        let far = |a: usize, b: usize| (map[a][0] - map[b][0]).hypot(map[a][1] - map[b][1]);
        let near = |i: usize| (0..120).filter(|j| *j != i).min_by(|a, b| far(i, *a).total_cmp(&far(i, *b)));
        (0..120).filter(|i| near(*i).unwrap() / 40 == i / 40).count()
    }
}
