//! One NumPy array: its values as features, as pixels or as labels, whatever their type and order are.

use crate::limits::Limit;
use crate::npy::Header;

/// An array as it was stored, row-major.
pub(super) struct Array {
    pub(super) dims: Vec<usize>,
    kind: Kind,
    /// As NumPy calls it, for messages.
    type_name: String,
    size: usize,
    big: bool,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Uint,
    Float,
    /// Bytes, which are ASCII or UTF-8.
    Bytes,
    /// Four bytes a character.
    Unicode,
}

impl Array {
    /// Reads a `.npy` file; an error goes on from the array's name.
    pub(super) fn parse(mut bytes: Vec<u8>) -> Result<Array, String> {
        let header = Header::read(&bytes)?;
        let Some(code) = header.code else {
            return Err("holds records; save the columns as arrays of their own".into());
        };
        // The order of bytes, the kind of value, and its size.
        let mut letters = code.chars();
        let (order, letter) = (letters.next(), letters.next());
        let kind = match letter {
            Some('b') => Kind::Bool,
            Some('i') => Kind::Int,
            Some('u') => Kind::Uint,
            Some('f') => Kind::Float,
            Some('S' | 'a') => Kind::Bytes,
            Some('U') => Kind::Unicode,
            Some('O') => {
                return Err("holds Python objects, which are not read; save numbers, or text by \
                            .astype(str)"
                    .into());
            }
            _ => return Err(format!("holds values of type {code}; whole numbers, floats and text are read")),
        };
        let count: usize = letters.as_str().parse().unwrap_or(0);
        let size = if kind == Kind::Unicode { count.saturating_mul(4) } else { count };
        let fits = match kind {
            Kind::Bool => size == 1,
            Kind::Int | Kind::Uint => [1, 2, 4, 8].contains(&size),
            Kind::Float => [2, 4, 8].contains(&size),
            Kind::Bytes => size > 0,
            Kind::Unicode => size > 0 && size.is_multiple_of(4),
        };
        if !fits || !matches!(order, Some('<' | '>' | '|')) {
            return Err(format!(
                "holds values of type {code}, which are not read; save them by .astype('float64')"
            ));
        }
        // The header is believed as far as the bytes bear it out.
        let claimed = header.dims.iter().try_fold(size as u64, |n, d| n.checked_mul(*d));
        let claimed = claimed.filter(|n| *n <= (bytes.len() - header.start) as u64);
        let Some(claimed) = claimed else { return Err("ends before its own header says".into()) };
        // Rows may be of nothing, but an image of each is not.
        let rows = header.dims.first().copied().unwrap_or(0);
        Limit::Images.check(rows, || "claims many rows".into()).map_err(|e| e.to_string())?;
        let dims: Vec<usize> = header.dims.iter().map(|d| *d as usize).collect();
        if dims.len() > 8 {
            return Err(format!("has {} dimensions", dims.len()));
        }
        bytes.truncate(header.start + claimed as usize);
        bytes.drain(..header.start);
        if header.by_columns && dims.len() > 1 {
            bytes = row_major(&bytes, &dims, size);
        }
        let big = order == Some('>');
        let type_name = match kind {
            Kind::Bool => "bool".to_owned(),
            Kind::Int => format!("int{}", 8 * size),
            Kind::Uint => format!("uint{}", 8 * size),
            Kind::Float => format!("float{}", 8 * size),
            Kind::Bytes | Kind::Unicode => "text".to_owned(),
        };
        Ok(Array { dims, kind, type_name, size, big, bytes })
    }

    /// Its type, as NumPy calls it.
    pub(super) fn type_name(&self) -> &str {
        &self.type_name
    }

    /// How many values it has.
    fn len(&self) -> usize {
        self.dims.iter().product()
    }

    pub(super) fn is_float(&self) -> bool {
        self.kind == Kind::Float
    }

    pub(super) fn is_whole(&self) -> bool {
        matches!(self.kind, Kind::Int | Kind::Uint)
    }

    /// The least and the largest value of numbers.
    pub(super) fn range(&self) -> Option<[f64; 2]> {
        (0..self.len()).filter_map(|i| self.number(i)).fold(None, |range, v| match range {
            None => Some([v, v]),
            Some([least, most]) => Some([least.min(v), most.max(v)]),
        })
    }

    /// Pixels of 8 bits, if it holds such: bytes, or truths, which are black and white.
    pub(super) fn pixels(self) -> Result<(Vec<usize>, Vec<u8>), Array> {
        match self.kind {
            Kind::Uint if self.size == 1 => Ok((self.dims, self.bytes)),
            Kind::Bool => {
                Ok((self.dims, self.bytes.into_iter().map(|v| if v == 0 { 0 } else { 255 }).collect()))
            }
            _ => Err(self),
        }
    }

    /// Floats of 32 bits. What does not fit into them is infinite.
    pub(super) fn floats(&self) -> Vec<f32> {
        (0..self.len()).map(|i| self.number(i).map_or(f32::NAN, |v| v as f32)).collect()
    }

    /// A value as a person writes it.
    pub(super) fn shown(&self, i: usize) -> String {
        self.number(i).map_or_else(|| self.text(i), |v| v.to_string())
    }

    /// A number; whole ones beyond 53 bits are rounded.
    fn number(&self, i: usize) -> Option<f64> {
        match self.kind {
            Kind::Float => Some(self.float(i)),
            Kind::Int => Some(self.int(i) as f64),
            Kind::Uint => Some(self.uint(i) as f64),
            Kind::Bool => Some(f64::from(u8::from(self.bytes[i] != 0))),
            Kind::Bytes | Kind::Unicode => None,
        }
    }

    /// The bytes of a value, the lowest first.
    fn little(&self, i: usize) -> [u8; 8] {
        let mut value = [0; 8];
        let stored = &self.bytes[i * self.size..(i + 1) * self.size];
        value[..self.size].copy_from_slice(stored);
        if self.big {
            value[..self.size].reverse();
        }
        value
    }

    fn uint(&self, i: usize) -> u64 {
        u64::from_le_bytes(self.little(i))
    }

    fn int(&self, i: usize) -> i64 {
        let unused = 64 - 8 * self.size as u32;
        (self.uint(i) << unused) as i64 >> unused
    }

    fn float(&self, i: usize) -> f64 {
        let bits = self.uint(i);
        match self.size {
            2 => half(bits as u16),
            4 => f64::from(f32::from_bits(bits as u32)),
            _ => f64::from_bits(bits),
        }
    }

    /// Labels as text, one a row; an error goes on from the array's name.
    pub(super) fn labels(&self) -> Result<Vec<String>, String> {
        match self.dims[..] {
            [_] | [_, 1] => {}
            [_, k] => {
                return Err(format!(
                    "has {k} numbers a row; one label an image is read (of one in k, save numpy.argmax(y, axis=1))"
                ));
            }
            _ => return Err(format!("has the shape {:?}; labels are one a row", self.dims)),
        }
        (0..self.len())
            .map(|i| {
                let label = match self.kind {
                    Kind::Bool => if self.bytes[i] == 0 { "false" } else { "true" }.to_owned(),
                    Kind::Int => self.int(i).to_string(),
                    Kind::Uint => self.uint(i).to_string(),
                    Kind::Float => {
                        let value = self.float(i);
                        // Whole numbers of this size are exact.
                        if value.fract() != 0.0 || value.abs() >= 9e15 {
                            return Err(format!("row {i} holds {value}; labels are whole numbers or text"));
                        }
                        (value as i64).to_string()
                    }
                    Kind::Bytes | Kind::Unicode => self.text(i),
                };
                if label.is_empty() { Err(format!("row {i} holds no label")) } else { Ok(label) }
            })
            .collect()
    }

    /// Text, which NumPy fills up with zeros.
    fn text(&self, i: usize) -> String {
        let stored = &self.bytes[i * self.size..(i + 1) * self.size];
        let text = if self.kind == Kind::Bytes {
            String::from_utf8_lossy(stored).into_owned()
        } else {
            let characters = stored.chunks_exact(4).map(|c| {
                let c = [c[0], c[1], c[2], c[3]];
                let code = if self.big { u32::from_be_bytes(c) } else { u32::from_le_bytes(c) };
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            });
            characters.collect()
        };
        text.trim_end_matches('\0').to_owned()
    }
}

/// A float of 16 bits: a sign, five bits of exponent, ten of fraction.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => (1024.0 + fraction) * 2f64.powi(e - 25),
    }
}

/// Values that are stored with the first index running fastest, with the last one running fastest.
fn row_major(data: &[u8], dims: &[usize], size: usize) -> Vec<u8> {
    let mut steps = Vec::with_capacity(dims.len());
    let mut step = size;
    for d in dims {
        steps.push(step);
        step *= d;
    }
    let mut out = Vec::with_capacity(data.len());
    let mut index = vec![0; dims.len()];
    let mut at = 0;
    while out.len() < data.len() {
        out.extend_from_slice(&data[at..at + size]);
        for axis in (0..dims.len()).rev() {
            index[axis] += 1;
            at += steps[axis];
            if index[axis] < dims[axis] {
                break;
            }
            at -= steps[axis] * dims[axis];
            index[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(descr: &str, fortran: bool, dims: &[usize], data: &[u8]) -> Vec<u8> {
        let shape: String = dims.iter().map(|d| format!("{d}, ")).collect();
        let order = if fortran { "True" } else { "False" };
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape}), }}");
        header += &" ".repeat(63 - (10 + header.len()) % 64);
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        bytes.extend(data);
        bytes
    }

    fn read(descr: &str, dims: &[usize], data: &[u8]) -> Array {
        Array::parse(npy(descr, false, dims, data)).unwrap()
    }

    /// Bits and values of the IEEE standard's own table of half precision.
    #[test]
    fn floats_of_every_size_and_byte_order_are_read() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 2f64.powi(-14)),
            (0x0001, 2f64.powi(-24)),
            (0x3555, 0.333_251_953_125),
            (0x7c00, f64::INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:x}");
        }
        assert!(half(0x7e00).is_nan());
        let (a, b) = (1.5f64, -0.25f64);
        let both = |f: &dyn Fn(f64) -> Vec<u8>| [f(a), f(b)].concat();
        for (descr, data) in [
            ("<f4", both(&|v| (v as f32).to_le_bytes().to_vec())),
            (">f4", both(&|v| (v as f32).to_be_bytes().to_vec())),
            ("<f8", both(&|v| v.to_le_bytes().to_vec())),
            (">f8", both(&|v| v.to_be_bytes().to_vec())),
            ("<f2", [[0x00, 0x3e], [0x00, 0xb4]].concat()),
            (">f2", [[0x3e, 0x00], [0xb4, 0x00]].concat()),
        ] {
            assert_eq!(read(descr, &[2], &data).floats(), [1.5, -0.25], "{descr}");
        }
    }

    #[test]
    fn labels_are_text_whatever_they_are_stored_as() {
        let labels = |descr: &str, dims: &[usize], data: &[u8]| read(descr, dims, data).labels();
        assert_eq!(labels("|i1", &[2], &[0xff, 7]).unwrap(), ["-1", "7"]);
        assert_eq!(labels(">i2", &[2, 1], &[0xff, 0xfe, 1, 0]).unwrap(), ["-2", "256"]);
        assert_eq!(labels("<u8", &[1], &[0xff; 8]).unwrap(), ["18446744073709551615"]);
        assert_eq!(labels("|b1", &[2], &[0, 1]).unwrap(), ["false", "true"]);
        assert_eq!(labels("|S3", &[2], b"ab\0xyz").unwrap(), ["ab", "xyz"]);
        assert_eq!(labels(">U2", &[2], b"\0\0\0\xe9\0\0\0b\0\0\0c\0\0\0\0").unwrap(), ["\u{e9}b", "c"]);
        assert_eq!(
            labels("<f4", &[2], &[2f32.to_le_bytes(), (-3f32).to_le_bytes()].concat()).unwrap(),
            ["2", "-3"]
        );
        let refused = |descr: &str, dims: &[usize], data: &[u8]| labels(descr, dims, data).unwrap_err();
        assert!(refused("<f4", &[1], &0.5f32.to_le_bytes()).contains("row 0 holds 0.5"));
        assert!(refused("<f4", &[1], &f32::NAN.to_le_bytes()).contains("row 0 holds NaN"));
        assert!(refused("|u1", &[1, 3], &[1, 0, 0]).contains("argmax"));
        assert!(refused("|S1", &[2], b"a\0").contains("row 1 holds no label"));
    }

    #[test]
    fn columns_first_become_rows_first() {
        // numpy.arange(24).reshape(2, 3, 4) in Fortran order: the first index runs fastest.
        let value = |i: usize, j: usize, k: usize| (i * 12 + j * 4 + k) as u8;
        let mut stored = Vec::new();
        for k in 0..4 {
            for j in 0..3 {
                stored.extend((0..2).map(|i| value(i, j, k)));
            }
        }
        let array = Array::parse(npy("|u1", true, &[2, 3, 4], &stored)).unwrap();
        assert_eq!(array.pixels().ok().unwrap().1, (0..24).collect::<Vec<u8>>());
        assert!(Array::parse(npy("|u1", true, &[0, 3], &[])).unwrap().floats().is_empty());
    }

    #[test]
    fn what_is_no_array_of_values_is_refused() {
        let refused =
            |descr: &str, dims: &[usize]| Array::parse(npy(descr, false, dims, &[0; 8])).err().unwrap();
        assert!(refused("|O", &[1]).contains("Python objects"));
        assert!(refused("<c8", &[1]).contains("<c8"));
        assert!(refused("<f4", &[3]).contains("ends before"));
        assert!(refused("<f4", &[1 << 20, 1 << 20]).contains("ends before"));
        let huge = Array::parse(npy("<f4", false, &[1 << 40, 1 << 40], &[0; 8])).err().unwrap();
        assert!(huge.contains("impossible") || huge.contains("ends before"), "{huge}");
        assert!(Array::parse(b"nothing".to_vec()).err().unwrap().contains("no NumPy array"));
        assert!(refused("|u1", &[1 << 40, 0]).contains("--limit images="));
        let long = b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr'".to_vec();
        assert!(Array::parse(long).err().unwrap().contains("a header of 4294967295 bytes"));
        let deep = [b"\x93NUMPY\x01\x00\x00\x20".to_vec(), vec![b'('; 8192]].concat();
        assert!(Array::parse(deep).err().unwrap().contains("no NumPy array"));
    }
}
