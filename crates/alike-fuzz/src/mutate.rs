//! Inputs made from seeds, the same ones every time.

/// Changes seeds: bits, bytes, numbers, chunks.
#[derive(Clone, Debug)]
pub struct Mutator {
    state: u64,
}

/// Numbers at which something ends.
const EDGES: [u64; 16] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x0100_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_ffff,
];

/// What text may hold in place of a number.
const WRITTEN: [&str; 16] = [
    "0",
    "-1",
    "1",
    "2",
    "255",
    "65536",
    "2147483647",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999999",
    "1e308",
    "-1e-308",
    "nan",
    "inf",
];

/// Inputs stay small, so that time is spent on parsers.
const LONGEST: usize = 1 << 16;

impl Mutator {
    /// One whose changes follow from a number and a name.
    pub fn new(seed: u64, name: &str) -> Mutator {
        Mutator { state: name.bytes().fold(seed, |s, b| (s ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)) }
    }

    /// SplitMix64 (Steele, Lea and Flood 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// A place, as often as not near the beginning, where headers are.
    fn place(&mut self, len: usize) -> usize {
        let within = if self.below(2) == 0 { len.min(128) } else { len };
        self.below(within)
    }

    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.place(len);
        let most = if self.below(4) == 0 { len - start } else { 16 };
        start..(start + 1 + self.below(most)).min(len)
    }

    /// A seed with a few changes.
    pub fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..1 + self.below(4) {
            let other = self.below(seeds.len());
            self.change(&mut bytes, &seeds[other]);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        if bytes.is_empty() {
            bytes.extend_from_slice(other);
        }
        let len = bytes.len();
        if len == 0 {
            return;
        }
        match self.below(12) {
            0 => {
                let at = self.place(len);
                bytes[at] ^= 1 << self.below(8);
            }
            1 => {
                let (range, to) = (self.range(len), [0, 255, b' ', b'9'][self.below(4)]);
                bytes[range].fill(to);
            }
            2 => {
                let at = self.place(len);
                bytes[at] = self.next() as u8;
            }
            3 => bytes.truncate(self.below(len)),
            4 => drop(bytes.drain(self.range(len))),
            5 => {
                let (range, at) = (self.range(len), self.place(len));
                let again = bytes[range].to_vec();
                bytes.splice(at..at, again);
            }
            6 => {
                let from =
                    if other.is_empty() { Vec::new() } else { other[self.range(other.len())].to_vec() };
                let at = self.place(len);
                let end = if self.below(2) == 0 { at } else { (at + from.len()).min(len) };
                bytes.splice(at..end, from);
            }
            7 => {
                let (a, b) = (self.range(len), self.place(len));
                let n = a.len().min(len - b);
                for i in 0..n {
                    bytes.swap(a.start + i, b + i);
                }
            }
            8 | 9 => self.number(bytes),
            _ => self.written(bytes),
        }
    }

    /// Sets a number of one to eight bytes, in either order, to one at an edge.
    fn number(&mut self, bytes: &mut [u8]) {
        let size = 1 << self.below(4);
        if bytes.len() < size {
            return;
        }
        let at = self.place(bytes.len() - size + 1);
        let value = EDGES[self.below(EDGES.len())];
        let little = value.to_le_bytes();
        let into = &mut bytes[at..at + size];
        into.copy_from_slice(&little[..size]);
        if self.below(2) == 0 {
            into.reverse();
        }
    }

    /// Writes another number in place of one that text holds.
    fn written(&mut self, bytes: &mut Vec<u8>) {
        let from = self.place(bytes.len());
        let Some(start) = (from..bytes.len()).find(|i| bytes[*i].is_ascii_digit()) else { return };
        let end = (start..bytes.len()).find(|i| !bytes[*i].is_ascii_digit()).unwrap_or(bytes.len());
        let other = WRITTEN[self.below(WRITTEN.len())];
        bytes.splice(start..end, other.bytes());
    }
}
