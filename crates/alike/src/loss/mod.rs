//! Losses: short formulas over distances, and the adapters that turn their slopes into gradients of embeddings.

mod triplet;
mod tuple;

pub use triplet::TripletMargin;
pub use tuple::{TripletLoss, TripletReport, TripletTerm, mean_triplet_loss};
