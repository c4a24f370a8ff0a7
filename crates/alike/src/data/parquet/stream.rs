//! Rows on their way from the decoder to whoever reads them.
//!
//! A message is a letter, the length of what follows as 32 bits, and that. `H` is the head, a JSON object, and comes first; `R` is a row; `E` is the
//! end; `F` is a sentence that says why there is none. A row's cell is a letter (`N` nothing, `T` text, `V` numbers of 32 bits), its
//! length in bytes as 32 bits, and its bytes. Numbers are little-endian.

use super::Cell;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

/// What is known before the first row.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) columns: Vec<String>,
    /// What the file says of itself beside its rows.
    pub(super) says: BTreeMap<String, String>,
}

pub(super) struct Writer<'a>(pub(super) &'a mut dyn Write);

impl Writer<'_> {
    pub(super) fn head(&mut self, head: &Head) -> io::Result<()> {
        self.message(b'H', &serde_json::to_vec(head)?)
    }

    pub(super) fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        let mut row = Vec::new();
        for cell in cells {
            let (letter, bytes): (u8, &[u8]) = match cell {
                Cell::Null => (b'N', &[]),
                Cell::Text(text) => (b'T', text.as_bytes()),
                Cell::Numbers(numbers) => {
                    (b'V', &numbers.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
                }
            };
            row.push(letter);
            row.extend(length(bytes)?);
            row.extend(bytes);
        }
        self.message(b'R', &row)
    }

    pub(super) fn end(&mut self) -> io::Result<()> {
        self.message(b'E', &[])
    }

    pub(super) fn failure(&mut self, why: &str) -> io::Result<()> {
        self.message(b'F', why.as_bytes())
    }

    fn message(&mut self, letter: u8, bytes: &[u8]) -> io::Result<()> {
        // Nothing is written of a message that is too long.
        let length = length(bytes)?;
        self.0.write_all(&[letter])?;
        self.0.write_all(&length)?;
        self.0.write_all(bytes)
    }
}

fn length(bytes: &[u8]) -> io::Result<[u8; 4]> {
    let long = |_| io::Error::other("a row is longer than 4 GiB");
    Ok(u32::try_from(bytes.len()).map_err(long)?.to_le_bytes())
}

/// What was written.
#[derive(Debug)]
pub(super) enum Message {
    Head(Head),
    Row(Vec<Cell>),
    End,
    Failure(String),
    /// More bytes than `most`.
    TooLong(u64),
}

/// The next message. A decoder that died is an unexpected end of the file.
pub(super) fn next(from: &mut dyn Read, most: u64) -> io::Result<Message> {
    let mut begin = [0; 5];
    from.read_exact(&mut begin)?;
    let [letter, length @ ..] = begin;
    let length = u32::from_le_bytes(length);
    if u64::from(length) > most {
        return Ok(Message::TooLong(length.into()));
    }
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes)?;
    match letter {
        b'H' => serde_json::from_slice(&bytes).map(Message::Head).map_err(|_| no_sense()),
        b'R' => cells(&bytes).map(Message::Row).ok_or_else(no_sense),
        b'E' => Ok(Message::End),
        b'F' => Ok(Message::Failure(String::from_utf8_lossy(&bytes).into_owned())),
        _ => Err(no_sense()),
    }
}

fn no_sense() -> io::Error {
    io::Error::other("its decoder's answer cannot be read")
}

fn cells(mut row: &[u8]) -> Option<Vec<Cell>> {
    let mut cells = Vec::new();
    while let Some((begin, rest)) = row.split_first_chunk::<5>() {
        let [letter, length @ ..] = *begin;
        let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(length) as usize)?;
        row = rest;
        cells.push(match letter {
            b'N' => Cell::Null,
            b'T' => Cell::Text(String::from_utf8(bytes.to_vec()).ok()?),
            b'V' => Cell::Numbers(bytes.as_chunks().0.iter().map(|v| f32::from_le_bytes(*v)).collect()),
            _ => return None,
        });
    }
    row.is_empty().then_some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_cut_is_an_error() {
        let row = vec![
            Cell::Null,
            Cell::Text("ä".into()),
            Cell::Numbers(vec![1.5, f32::MIN]),
            Cell::Text(String::new()),
        ];
        let head = Head { columns: vec!["a".into()], says: [("k".into(), "v".into())].into() };
        let mut bytes = Vec::new();
        let mut writer = Writer(&mut bytes);
        writer.head(&head).unwrap();
        writer.row(&row).unwrap();
        writer.row(&[]).unwrap();
        writer.failure("why").unwrap();
        writer.end().unwrap();
        let mut from = &bytes[..];
        let mut read = || next(&mut from, 1000).unwrap();
        assert!(matches!(read(), Message::Head(h) if h.columns == ["a"] && h.says["k"] == "v"));
        assert!(matches!(read(), Message::Row(cells) if cells == row));
        assert!(matches!(read(), Message::Row(cells) if cells.is_empty()));
        assert!(matches!(read(), Message::Failure(why) if why == "why"));
        assert!(matches!(read(), Message::End));
        for cut in 0..bytes.len() {
            let mut from = &bytes[..cut];
            let mut messages = 0;
            while next(&mut from, 1000).is_ok() {
                messages += 1;
            }
            assert!(messages < 5);
        }
        assert!(matches!(next(&mut &bytes[..], 20), Ok(Message::TooLong(n)) if n > 20));
        assert!(
            next(&mut &b"R\x06\0\0\0T\xff\0\0\0a"[..], 1000).is_err(),
            "a cell that is longer than its row"
        );
    }
}
