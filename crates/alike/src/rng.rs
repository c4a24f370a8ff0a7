//! Random numbers that depend on what they are for, and never on what was drawn before.
//!
//! A stream is named by the run's seed, a purpose, and two numbers (an epoch and an image, say). Work can then be cut,
//! resumed and run on any number of threads without a bit changing.

pub use rand::RngExt;
pub use rand::rngs::ChaCha8Rng as Rng;
pub use rand::seq::SliceRandom;

use rand::SeedableRng;

/// What random numbers are drawn for: streams of different purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
#[non_exhaustive]
pub enum Purpose {
    /// Initial weights; `a` is the parameter's number.
    Weights = 1,
    /// The order of an epoch; `a` is the epoch.
    Order = 2,
    /// An anchor's triplet; `a` is the epoch, `b` the anchor.
    Triplet = 3,
    /// The images held back for validation.
    Validation = 4,
    /// A drawn digit; `a` is the split, `b` the image.
    Digit = 5,
    /// What a figure shows; `a` is the figure.
    Figure = 6,
    /// What a miner draws; `a` is the epoch, `b` the step.
    Mining = 7,
    /// A batch's classes and images; `a` is the epoch, `b` the step.
    Batch = 8,
    /// How an image is changed; `a` is the epoch, `b` the image and its view.
    Augment = 9,
    /// A loss's learned vectors; `a` is the loss's number.
    Proxies = 10,
    /// What a search over settings draws; `a` is the trial.
    Tune = 11,
    /// Which images are for training and which for the test.
    Split = 12,
    /// A draw of a bootstrap; `a` is its number.
    Bootstrap = 13,
    /// An episode of few-shot classification; `a` is its number.
    Episode = 14,
    /// Where a clustering begins; `a` is the attempt.
    Clusters = 15,
    /// Where a map begins, and how it moves.
    Map = 16,
    /// Pairs that are drawn from labels.
    Pairs = 17,
    /// Pixels that are painted over; `a` is the draw, `b` the image.
    Mask = 18,
}

/// The stream of `purpose` number `(a, b)` under `seed`.
pub fn stream(seed: u64, purpose: Purpose, a: u64, b: u64) -> Rng {
    let mut key = [0; 32];
    for (bytes, word) in key.chunks_exact_mut(8).zip([seed, purpose as u64, a, 0x616c_696b_6520_3031]) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let mut rng = Rng::from_seed(key);
    rng.set_stream(b);
    rng
}

/// A number that depends on every bit of another: the last step of SplitMix64 (Steele, Lea and Flood 2014).
pub fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bits of every run hang on them: they must not change with the crate that draws them.
    #[test]
    fn streams_are_what_they_always_were() {
        let mut rng = stream(7, Purpose::Order, 3, 1 << 40);
        let drawn: [u64; 3] = std::array::from_fn(|_| rng.random());
        assert_eq!(drawn, [0xea7d_0007_b108_dd44, 0xfc7a_eb3c_ece7_2e9a, 0x6996_a301_1da6_5920]);
        let mut order: Vec<u8> = (0..8).collect();
        order.shuffle(&mut rng);
        assert_eq!(order, [7, 0, 3, 2, 5, 4, 1, 6]);
    }

    #[test]
    fn streams_repeat_and_differ_by_each_of_their_names() {
        let draw = |seed, purpose, a, b| stream(seed, purpose, a, b).random::<u64>();
        let first = draw(1, Purpose::Order, 2, 3);
        assert_eq!(first, draw(1, Purpose::Order, 2, 3));
        for other in [
            draw(2, Purpose::Order, 2, 3),
            draw(1, Purpose::Triplet, 2, 3),
            draw(1, Purpose::Order, 3, 3),
            draw(1, Purpose::Order, 2, 4),
        ] {
            assert_ne!(first, other);
        }
    }
}
