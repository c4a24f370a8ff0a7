//! From many dimensions to few.

mod pca;

pub use pca::Pca;
