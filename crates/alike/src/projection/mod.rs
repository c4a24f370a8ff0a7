//! From many dimensions to few.

mod pca;
mod tsne;
mod umap;

pub use pca::Pca;
pub use tsne::{TSNE_NEIGHBOURS, tsne};
pub use umap::umap;
