//! Exact nearest neighbours, produced a block of queries at a time and read by everything that needs them.

mod exact;

pub use exact::{Neighbour, nearest};
