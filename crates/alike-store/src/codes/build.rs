//! Codes made of vectors that come one after another.

use super::{Codes, centres};
use crate::items::bytes_of;
use alike::images::Features;
use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_64;

/// As many centres as suit so many vectors: half the root, so that looking at centres costs little beside looking at codes.
pub(crate) fn centre_count(vectors: usize) -> usize {
    ((vectors as f64).sqrt() / 2.0).ceil().clamp(1.0, 1024.0) as usize
}

/// Codes that are being made.
pub(crate) struct Building {
    codes: Codes,
    /// By a hash of a vector: its list and row, and its member.
    rows: HashMap<u64, (u32, u32, u32)>,
}

impl Building {
    pub(crate) fn new(centres: Features) -> Building {
        Building { codes: Codes::new(centres), rows: HashMap::new() }
    }

    /// Adds members, whose numbers are the next. `same` tells whether the vector of a member that was added is a given one: vectors of one
    /// hash are only mostly the same.
    pub(crate) fn extend<E>(
        &mut self,
        vectors: &Features,
        mut same: impl FnMut(u32, &[f32]) -> Result<bool, E>,
    ) -> Result<(), E> {
        let near = centres::nearest_centres(&self.codes.centres, vectors);
        for (vector, centre) in vectors.rows().zip(near) {
            let hash = xxh3_64(&bytes_of(vector));
            match self.rows.get(&hash) {
                Some((list, row, member)) if *list as usize == centre && same(*member, vector)? => {
                    self.codes.push_same(centre, *row);
                }
                _ => {
                    let (row, member) = self.codes.push(centre, vector);
                    self.rows.insert(hash, (centre as u32, row as u32, member));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Codes {
        self.codes.lists.iter_mut().for_each(|list| {
            list.more.sort_unstable();
            list.codes.shrink_to_fit();
            list.scale.shrink_to_fit();
            list.square.shrink_to_fit();
            list.error.shrink_to_fit();
            list.first.shrink_to_fit();
        });
        self.codes
    }
}
