//! The triplet margin loss.

use super::{TripletLoss, TripletTerm};

/// `max(0, d(a, p) - d(a, n) + margin)` (Schroff, Kalenichenko and Philbin 2015, FaceNet,
/// <https://arxiv.org/abs/1503.03832>, equation 2; as `torch.nn.TripletMarginLoss`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TripletMargin {
    /// How much farther than the positive the negative should be, in units of the distance. PyTorch's default is 1.
    pub margin: f64,
}

impl TripletLoss for TripletMargin {
    fn term(&self, ap: f64, an: f64) -> TripletTerm {
        let value = ap - an + self.margin;
        if value > 0.0 || value.is_nan() {
            TripletTerm { value, d_ap: 1.0, d_an: -1.0 }
        } else {
            TripletTerm::default()
        }
    }
}
