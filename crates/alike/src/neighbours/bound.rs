//! What a product can be off by.

/// The unit roundoff of `f32`.
const UNIT: f64 = (f32::EPSILON / 2.0) as f64;
/// Whole numbers below this are exact in `f32`.
pub(super) const EXACT: f64 = (1u32 << 24) as f64;

/// How far the products of a frame can be from the truth.
///
/// Let `a` and `b` be a query and a member less the centre, `q` and `g` the same as `f32` has them, with lengths `Q` and `G`,
/// and `u = 2^-24`. A product is meant to be `|a - b|^2 - Q^2`; it differs from that by no more than the sum of:
///
///  - **Shifting.** Every difference is rounded once, so `|q - a| <= u Q (1 + u)`, and as much for `g`: squared distances
///    differ by no more than `2.1 u (Q + G)^2`.
///  - **Multiplying.** A run of `t` products and additions is off by no more than `1.1 (t + 2) u` times the sum of all absolute terms
///    (Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1, for `t u` below 0.09), which Cauchy and Schwarz
///    bound by `2 Q G`, and by `G^2` more where the run begins with `|g|^2` rounded. Adding up `r` runs makes that `1.1 (t + r + 2) u`
///    (section 4.2), or, in doubles, nothing more. Where `|g|^2` comes last it is rounded, and so is the end: `u (2 G^2 + 2 Q G)`.
///  - **Underflow.** What is too small for `f32` is off by `2^-149` an operation.
///
/// Pixels are whole numbers there: shifting and runs are exact, and so is the end below `2^24`. Their distances are meant between
/// pixels as they are read; with lengths `R` and `S` of what reading them is off by, the length of a difference is off by `R + S`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) d: usize,
    pub(super) run: usize,
    pub(super) bytes: bool,
    /// The largest length of what reading a member is off by.
    pub(super) reading: f64,
    /// The length of the farthest member.
    pub(super) farthest: f64,
}

impl Bound {
    /// Twice the largest error of a product with any member of the gallery, for a query of length `query` whose reading is off by
    /// `read`; infinite where it cannot be told.
    pub(super) fn slack(&self, query: f64, read: f64) -> f32 {
        self.at(query, read, self.farthest, query + self.farthest)
    }

    /// The same with members at a squared distance of no more than `far`, in this frame.
    pub(super) fn slack_within(&self, query: f64, read: f64, far: f64) -> f32 {
        let far = far.max(0.0).sqrt() * (1.0 + 1e-6);
        let member = self.farthest.min(query + far);
        self.at(query, read, member, far.min(query + member))
    }

    fn at(&self, q: f64, read: f64, g: f64, far: f64) -> f32 {
        let (norm, products) = (g * g, 2.0 * q * g);
        let error = if self.bytes {
            let most = (far * far).max(q * q);
            let rounded = |v: f64| if v < EXACT { 0.0 } else { 1.1 * UNIT * v };
            let last = rounded(most) + rounded(norm);
            let reading = 1.01 * (read + self.reading);
            last + 2.0 * far * reading + reading * reading
        } else {
            let runs = if self.run < self.d { self.d.div_ceil(self.run) } else { 0 };
            let terms = 1.1 * ((self.run.min(self.d) + runs) as f64 + 2.0);
            let multiplied = if runs > 0 {
                (terms + 1.1) * products + 2.2 * norm
            } else {
                (terms + 1.1) * (products + norm)
            };
            let shifting = 2.1 * (q + g) * (q + g);
            UNIT * (multiplied + shifting) + (self.d as f64 + 8.0) * 2f64.powi(-149)
        };
        let slack = (2.0 * error * (1.0 + 1e-6)) as f32;
        if slack.is_nan() { f32::INFINITY } else { slack }
    }
}

/// `value + slack`, rounded up.
pub(super) fn above(value: f32, slack: f32) -> f32 {
    let sum = (f64::from(value) + f64::from(slack)) as f32;
    // What is no number bounds nothing.
    if sum.is_nan() { f32::INFINITY } else { sum.next_up() }
}
