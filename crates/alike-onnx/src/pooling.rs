//! From a network's output to one vector an image.

use crate::manifest::Layout;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How an output becomes a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Pooling {
    /// It is one: `batch x numbers`.
    None,
    /// The mean over tokens, of `batch x tokens x numbers`; or over places, of a feature map of four dimensions.
    Mean,
    /// The first token, of `batch x tokens x numbers`: the class token of a vision transformer.
    Cls,
}

impl Pooling {
    /// Their names.
    pub const NAMES: [&str; 3] = ["none", "mean", "cls"];
    const ALL: [Pooling; 3] = [Pooling::None, Pooling::Mean, Pooling::Cls];

    /// Its name.
    pub fn name(self) -> &'static str {
        Pooling::NAMES[self as usize]
    }

    /// The only one that fits an output of so many dimensions; nothing where several do, or none.
    pub fn only(rank: usize) -> Option<Pooling> {
        match rank {
            2 => Some(Pooling::None),
            4 => Some(Pooling::Mean),
            _ => None,
        }
    }

    /// The vector of one image; nothing if the output's shape does not fit.
    pub(crate) fn apply(self, shape: &[usize], values: &[f32], layout: Layout) -> Option<Vec<f32>> {
        let mean = |n: usize, d: usize, at: &dyn Fn(usize, usize) -> usize| -> Vec<f32> {
            (0..d)
                .map(|k| {
                    let sum: f64 = (0..n).map(|i| f64::from(values[at(i, k)])).sum();
                    (sum / n as f64) as f32
                })
                .collect()
        };
        if shape.contains(&0) {
            return None;
        }
        match (self, shape) {
            (Pooling::None, [1, _]) => Some(values.to_vec()),
            (Pooling::Cls, [1, _, d]) => Some(values[..*d].to_vec()),
            (Pooling::Mean, &[1, n, d]) => Some(mean(n, d, &|i, k| i * d + k)),
            (Pooling::Mean, &[1, d, h, w]) if layout == Layout::Nchw => {
                Some(mean(h * w, d, &|i, k| k * h * w + i))
            }
            (Pooling::Mean, &[1, h, w, d]) => Some(mean(h * w, d, &|i, k| i * d + k)),
            _ => None,
        }
    }

    /// What fits an output of a shape, in words.
    pub(crate) fn fits(shape: &[usize]) -> &'static str {
        match shape {
            [1, _] => "pooling 'none' fits",
            [1, _, _] => "pooling 'mean' or 'cls' fits",
            [1, _, _, _] => "pooling 'mean' fits",
            _ => "an output has one row an image and two, three or four dimensions; name another output",
        }
    }
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Pooling {
    type Err = String;

    fn from_str(s: &str) -> Result<Pooling, String> {
        let at = Pooling::NAMES.iter().position(|name| *name == s);
        at.map(|i| Pooling::ALL[i]).ok_or_else(|| format!("pooling is none, mean or cls, not '{s}'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pooling_fits_its_ranks_alone() {
        let v: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let pool = |p: Pooling, shape: &[usize], layout| p.apply(shape, &v, layout);
        assert_eq!(pool(Pooling::None, &[1, 12], Layout::Nchw).unwrap(), v);
        assert_eq!(pool(Pooling::Cls, &[1, 3, 4], Layout::Nchw).unwrap(), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(pool(Pooling::Mean, &[1, 3, 4], Layout::Nchw).unwrap(), [4.0, 5.0, 6.0, 7.0]);
        assert_eq!(pool(Pooling::Mean, &[1, 3, 2, 2], Layout::Nchw).unwrap(), [1.5, 5.5, 9.5]);
        assert_eq!(pool(Pooling::Mean, &[1, 2, 2, 3], Layout::Nhwc).unwrap(), [4.5, 5.5, 6.5]);
        for (p, shape) in [
            (Pooling::None, &[1, 3, 4][..]),
            (Pooling::None, &[2, 6]),
            (Pooling::Cls, &[1, 12]),
            (Pooling::Cls, &[1, 3, 2, 2]),
            (Pooling::Mean, &[1, 12]),
            (Pooling::Mean, &[12]),
            (Pooling::Mean, &[1, 0, 12]),
        ] {
            assert!(pool(p, shape, Layout::Nchw).is_none(), "{p} {shape:?}");
        }
    }
}
