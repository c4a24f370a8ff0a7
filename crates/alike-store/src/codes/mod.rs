//! Vectors in codes of 8 bits, by which the exact nearest are found.
//!
//! Each vector `x` belongs to a centre `c`, and its code says where it lies as to that: `x' = c + s k`, with `s` of the vector's own and whole numbers `k` from
//! -127 to 127. How far `x'` is from `x` is known: `e`. A query `q` is coded in the same way as to every centre: `q' = c + t j`, and `f = |q - q'|`. The
//! distance of the codes, `|q' - x'|^2 = t^2 |j|^2 + s^2 |k|^2 - 2 s t (j . k)`, needs one product of whole numbers. By the triangle inequality
//!
//! `|q' - x'| - e - f  <=  |q - x|  <=  |q' - x'| + e + f`.
//!
//! So the search keeps the `k` smallest upper bounds, the largest of which is a distance that the `k` nearest do not exceed, and drops every vector whose
//! lower bound lies above it ([`scan`]). For those that are left the bounds are made narrower by the query as it is ([`refine`]), and in the order of their
//! lower bounds their vectors are read and measured in `f64`, until no lower bound is below the `k`-th distance: what is found is what comparing with
//! all would find, equal distances by the number of the member. All that is rounded is rounded to the safe side; [`slack`] says by how much.
//!
//! Vectors that are the same, number by number, share one code: where every class is a point, each point is measured once.

mod build;
mod centres;
mod file;
mod query;
mod scan;
#[cfg(test)]
mod tests;

pub(crate) use build::{Building, centre_count};
pub(crate) use centres::centres;
pub(crate) use file::{CodeFileError, Stamp};

use alike::images::Features;
use alike_kernels::{CODE_ROWS, CODE_RUN, code_at};

/// Coded vectors, centre by centre.
#[derive(Debug, PartialEq)]
pub(crate) struct Codes {
    d: usize,
    /// Numbers of a coded row: `d`, and what is missing to a whole run.
    width: usize,
    centres: Features,
    lists: Vec<List>,
    /// Members that were coded.
    members: usize,
}

/// The coded vectors of a centre.
#[derive(Debug, Default, PartialEq)]
struct List {
    /// Whole groups of rows; those beyond the last are never looked at.
    codes: Vec<u8>,
    /// By row: its scale.
    scale: Vec<f32>,
    /// By row: the squared length of what it codes.
    square: Vec<f32>,
    /// By row: no less than how far it is from its vector.
    error: Vec<f32>,
    /// By row: the first of its members.
    first: Vec<u32>,
    /// Further members of rows: row and member, by row and then by member.
    more: Vec<(u32, u32)>,
    /// No less than how far the farthest vector is from the centre.
    radius: f32,
}

/// What stands for zero in a code, which holds numbers without a sign.
const ZERO: i32 = 128;
/// The largest number of a code.
const MOST: f64 = 127.0;

/// The share of `t^2 |j|^2 + s^2 |k|^2` that the rounding of a squared distance of codes, and of what it is compared with, is below.
///
/// With `u = 2^-24`: both terms and the product are rounded three times each at most, the sums twice, and the product is no larger than the two
/// terms together, so the squared distance is off by less than `10 u` of these. It is compared with a square that is rounded three times, which is no
/// larger where it matters. Thirty-two times `u` is above all of it together.
fn slack(terms: f32) -> f32 {
    const SHARE: f32 = 32.0 / (1 << 24) as f32;
    // What is too small for its digits is off by no more than the smallest number that has all of them.
    terms * SHARE + f32::MIN_POSITIVE * 64.0
}

/// `value` as a number of 32 bits that is not below it.
fn up(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) >= value { near } else { near.next_up() }
}

/// A little more than what was computed in doubles from `d` terms.
fn safe(value: f64, d: usize) -> f64 {
    value * (1.0 + (d as f64 + 8.0) * f64::EPSILON) + f64::MIN_POSITIVE
}

impl Codes {
    fn new(centres: Features) -> Codes {
        let d = centres.d();
        let lists = (0..centres.len()).map(|_| List::default()).collect();
        Codes { d, width: d.next_multiple_of(CODE_RUN), centres, lists, members: 0 }
    }

    /// How many members were coded.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.members
    }

    /// Adds a member, whose number is the next. `centre` is that of its list.
    fn push(&mut self, centre: usize, vector: &[f32]) -> (usize, u32) {
        let member = self.members as u32;
        self.members += 1;
        let (of, width) = (self.centres.row(centre), self.width);
        let away: Vec<f64> = vector.iter().zip(of).map(|(v, c)| f64::from(*v) - f64::from(*c)).collect();
        let largest = away.iter().fold(0f64, |most, v| most.max(v.abs()));
        let scale = up(largest / MOST);
        let list = &mut self.lists[centre];
        let row = list.scale.len();
        if row.is_multiple_of(CODE_ROWS) {
            list.codes.resize(list.codes.len() + CODE_ROWS * width, ZERO as u8);
        }
        let (mut squares, mut error, mut length) = (0f64, 0f64, 0f64);
        for (i, v) in away.iter().enumerate() {
            let number = if scale > 0.0 { (v / f64::from(scale)).round().clamp(-MOST, MOST) } else { 0.0 };
            list.codes[code_at(width, row, i)] = (number as i32 + ZERO) as u8;
            squares += number * number;
            error += (v - f64::from(scale) * number).powi(2);
            length += v * v;
        }
        list.scale.push(scale);
        list.square.push((f64::from(scale) * f64::from(scale) * squares) as f32);
        list.error.push(up(safe(error.sqrt(), self.d)));
        list.first.push(member);
        list.radius = list.radius.max(up(safe(length.sqrt(), self.d)));
        (row, member)
    }

    /// Adds a member whose vector is that of a row.
    fn push_same(&mut self, centre: usize, row: u32) {
        let member = self.members as u32;
        self.members += 1;
        self.lists[centre].more.push((row, member));
    }

    /// Adds members, whose numbers are the next.
    pub(crate) fn extend(&mut self, vectors: &Features) {
        let near = centres::nearest_centres(&self.centres, vectors);
        for (row, centre) in vectors.rows().zip(near) {
            self.push(centre, row);
        }
    }
}

impl List {
    fn len(&self) -> usize {
        self.scale.len()
    }

    /// The members of a row, rising.
    fn members(&self, row: usize) -> impl Iterator<Item = u32> + '_ {
        let from = self.more.partition_point(|(of, _)| (*of as usize) < row);
        let more = self.more[from..]
            .iter()
            .take_while(move |(of, _)| *of as usize == row)
            .map(|(_, member)| *member);
        std::iter::once(self.first[row]).chain(more)
    }
}
