//! How near is near enough: what the pictures of known class say.

use crate::collection::Collection;
use crate::error::StoreError;
use alike::images::Vectors;
use alike::neighbours::{Exact, Exclude, nearest};
use alike::sample;

/// Pictures that are asked at most.
const MOST: usize = 2000;

/// A distance within which pictures of one class lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearEnough {
    /// The distance.
    pub within: f64,
    /// Pictures that were asked.
    pub pictures: usize,
}

/// The distance within which a share of the pictures of known class have their nearest other one of the class, of up to two thousand of
/// them. Nothing where no class has two pictures.
///
/// # Errors
///
/// If the file cannot be read.
pub fn calibrate(collection: &Collection, share: f64) -> Result<Option<NearEnough>, StoreError> {
    let (gallery, labels) = collection.gallery(None)?.labelled();
    let keys = gallery.identities.keys();
    let mut distances = Vec::new();
    let mut of_class: Vec<Vec<usize>> = vec![Vec::new(); gallery.classes.len()];
    labels.iter().enumerate().for_each(|(i, label)| of_class[*label as usize].push(i));
    let asked: Vec<usize> = sample::stratified(&labels, keys, MOST, 1, 0);
    for members in of_class.iter().filter(|m| m.len() > 1) {
        let asking: Vec<usize> = asked.iter().copied().filter(|i| members.binary_search(i).is_ok()).collect();
        if asking.is_empty() {
            continue;
        }
        let (rows, own) = (gallery.features.select(members), gallery.features.select(&asking));
        let of_members: Vec<u32> = members.iter().map(|i| *i as u32).collect();
        let of_asking: Vec<u32> = asking.iter().map(|i| *i as u32).collect();
        let exclude = Exclude::Group { queries: &of_asking, gallery: &of_members };
        let rows = Vectors::Features(&rows);
        let found = nearest(&Exact::new(rows), Vectors::Features(&own), 1, exclude, |_, l| {
            l.first().map(|n| n.distance)
        });
        distances.extend(found.into_iter().flatten());
    }
    distances.sort_by(f64::total_cmp);
    let pictures = distances.len();
    let at = ((share * pictures as f64).ceil() as usize).clamp(1, pictures.max(1)) - 1;
    Ok(distances.get(at).map(|within| NearEnough { within: *within, pictures }))
}
