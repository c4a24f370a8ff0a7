//! Exact nearest neighbours, produced a block of queries at a time and read by everything that needs them.

mod exact;
mod product;
mod ranks;

pub use exact::{Neighbour, nearest};
pub use product::squared_distance;
pub use ranks::ranks_of_matches;
