//! The header of a NumPy array: what `.npy` files begin with (NumPy Enhancement Proposal 1).
//!
//! It is the text of a Python dictionary of three known keys. A reader of only those is a page, cannot call itself until the stack is
//! full, and multiplies nothing that a damaged file says.

use std::io::{self, Write};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Bytes of a header; NumPy reads no longer one either.
const LONGEST: usize = 10_000;
/// Values begin at a multiple of this many bytes.
const ALIGN: usize = 64;

/// What is said of the values of an array.
#[derive(Debug, PartialEq)]
pub(crate) struct Header {
    /// The type of a value, such as `<f4`; nothing where values are records.
    pub(crate) code: Option<String>,
    /// Whether the first index runs fastest.
    pub(crate) by_columns: bool,
    pub(crate) dims: Vec<u64>,
    /// Where the values begin.
    pub(crate) start: usize,
}

impl Header {
    /// Reads the header of a file; an error goes on from the array's name.
    pub(crate) fn read(bytes: &[u8]) -> Result<Header, String> {
        let no_array = |why: &str| format!("is damaged or no NumPy array ({why})");
        let Some(rest) = bytes.strip_prefix(MAGIC) else { return Err(no_array("it does not begin as one")) };
        let (len, start) = match *rest {
            [1, 0, a, b, ..] => (usize::from(u16::from_le_bytes([a, b])), 10),
            [2 | 3, 0, a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]) as usize, 12),
            [_, _, _, _, _, _, ..] => return Err(no_array("an unknown version")),
            _ => return Err(no_array("it ends within its header")),
        };
        if len > LONGEST {
            return Err(format!("claims a header of {len} bytes, and {LONGEST} are the most"));
        }
        let start = start + len;
        let text = bytes.get(start - len..start).ok_or_else(|| no_array("it ends within its header"))?;
        let text = std::str::from_utf8(text).map_err(|_| no_array("its header is no text"))?;
        let found = Text(text).header().ok_or_else(|| no_array("its header is not one of values"))?;
        Ok(Header { start, ..found })
    }
}

/// Begins a file of 32-bit floats, row-major.
pub(crate) fn write_header(out: &mut dyn Write, dims: &[usize]) -> io::Result<()> {
    let dims: String = dims.iter().map(|d| format!("{d}, ")).collect();
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({dims}), }}");
    let before = MAGIC.len() + 4;
    let len = (before + text.len() + 1).next_multiple_of(ALIGN) - before;
    out.write_all(MAGIC)?;
    out.write_all(&[1, 0])?;
    out.write_all(&(len as u16).to_le_bytes())?;
    writeln!(out, "{text:width$}", width = len - 1)
}

/// What is left of a header's text.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, in any order.
    fn header(&mut self) -> Option<Header> {
        let (mut code, mut by_columns, mut dims) = (None, None, None);
        self.eat("{").then_some(())?;
        while !self.eat("}") {
            let key = self.quoted()?;
            self.eat(":").then_some(())?;
            match key {
                "descr" if self.0.trim_start().starts_with('[') => {
                    // Of records nothing more is asked.
                    return Some(Header { code: None, by_columns: false, dims: Vec::new(), start: 0 });
                }
                "descr" => code = Some(self.quoted()?.to_owned()),
                "fortran_order" => {
                    by_columns = Some(self.eat("True"));
                    (by_columns == Some(true) || self.eat("False")).then_some(())?;
                }
                "shape" => dims = Some(self.numbers()?),
                _ => return None,
            }
            if !self.eat(",") {
                self.eat("}").then_some(())?;
                break;
            }
        }
        self.0.trim().is_empty().then_some(())?;
        Some(Header { code: Some(code?), by_columns: by_columns?, dims: dims?, start: 0 })
    }

    fn eat(&mut self, token: &str) -> bool {
        let rest = self.0.trim_start().strip_prefix(token);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// A text without escapes: keys and types have none.
    fn quoted(&mut self) -> Option<&'a str> {
        let quote = ["'", "\""].into_iter().find(|q| self.eat(q))?;
        let (text, rest) = self.0.split_once(quote)?;
        self.0 = rest;
        Some(text)
    }

    fn numbers(&mut self) -> Option<Vec<u64>> {
        let end = [("(", ")"), ("[", "]")].into_iter().find(|(begin, _)| self.eat(begin))?.1;
        let mut all = Vec::new();
        while !self.eat(end) {
            let text = self.0.trim_start();
            let digits = text.find(|c: char| !c.is_ascii_digit())?;
            all.push(text[..digits].parse().ok()?);
            // Python 2 wrote long numbers with a letter.
            self.0 = text[digits..].strip_prefix('L').unwrap_or(&text[digits..]);
            if !self.eat(",") {
                self.eat(end).then_some(())?;
                break;
            }
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Vec<u8> {
        [MAGIC, b"\x01\0", &(text.len() as u16).to_le_bytes(), text.as_bytes(), b"values"].concat()
    }

    #[track_caller]
    fn check(text: &str, code: &str, by_columns: bool, dims: &[u64]) {
        let expected = Header {
            code: (!code.is_empty()).then(|| code.to_owned()),
            by_columns,
            dims: dims.to_vec(),
            start: 10 + text.len(),
        };
        assert_eq!(Header::read(&file(text)), Ok(expected), "{text}");
    }

    #[test]
    fn headers_are_read_as_numpy_and_others_write_them() {
        check("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n", "<f4", false, &[3, 4]);
        check("{'descr': '|u1', 'fortran_order': True, 'shape': (3,), }\n", "|u1", true, &[3]);
        check("{\"shape\":[],\"fortran_order\":False,\"descr\":\">i8\"}", ">i8", false, &[]);
        check("{'descr': '<f8', 'fortran_order': False, 'shape': (3L, 4L)}", "<f8", false, &[3, 4]);
        check(
            "{'descr': [('a', '<f4'), ('b', '<i4')], 'fortran_order': False, 'shape': (3,)}",
            "",
            false,
            &[],
        );
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for text in [
            "",
            "{}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, -4)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3 4)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (3,)}",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} and more",
            "{'descr': '<f4 , 'fortran_order': False, 'shape': (3,)}",
        ] {
            assert!(Header::read(&file(text)).unwrap_err().contains("no NumPy array"), "{text}");
        }
        let whole = file("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}");
        for end in 0..whole.len() - "values".len() {
            assert!(Header::read(&whole[..end]).is_err(), "{end} bytes");
        }
        let other = [MAGIC, b"\x07\0aaaa"].concat();
        assert!(Header::read(&other).unwrap_err().contains("unknown version"));
    }

    #[test]
    fn what_is_written_is_aligned_and_read() {
        for dims in [vec![3], vec![10_000, 64], vec![usize::MAX; 3]] {
            let mut bytes = Vec::new();
            write_header(&mut bytes, &dims).unwrap();
            assert!(bytes.len().is_multiple_of(ALIGN) && bytes.ends_with(b"\n"));
            let header = Header::read(&bytes).unwrap();
            assert_eq!((header.code.as_deref(), header.by_columns), (Some("<f4"), false));
            assert_eq!((header.dims, header.start), (dims.iter().map(|d| *d as u64).collect(), bytes.len()));
        }
    }
}
