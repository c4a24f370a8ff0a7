//! Protocol buffers, as much of them as an ONNX file needs (<https://protobuf.dev/programming-guides/encoding/>; field numbers from
//! <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>).

use std::ops::Range;

/// A message that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// What another program wrote, to which more is added: fields that repeat go on, and others are replaced.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Message {
        Message(bytes)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u32, kind: u32) {
        self.varint(u64::from(field << 3 | kind));
    }

    pub(super) fn int(mut self, field: u32, value: i64) -> Message {
        self.key(field, 0);
        self.varint(value as u64);
        self
    }

    pub(super) fn bytes(mut self, field: u32, value: &[u8]) -> Message {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    pub(super) fn text(self, field: u32, value: &str) -> Message {
        self.bytes(field, value.as_bytes())
    }

    pub(super) fn message(self, field: u32, value: Message) -> Message {
        self.bytes(field, &value.0)
    }
}

/// A field: its number, where it lies, and where its content does if it has a length.
pub(super) type Field = (u32, Range<usize>, Option<Range<usize>>);

/// The fields of a message, in order. Nothing if it is damaged.
pub(super) fn fields(bytes: &[u8]) -> Option<Vec<Field>> {
    let mut found = Vec::new();
    let mut at = 0;
    let varint = |at: &mut usize| -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *bytes.get(*at)?;
            *at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    };
    while at < bytes.len() {
        let start = at;
        let key = varint(&mut at)?;
        let content = match key & 7 {
            0 => {
                varint(&mut at)?;
                None
            }
            1 => {
                at = at.checked_add(8)?;
                None
            }
            2 => {
                let len = usize::try_from(varint(&mut at)?).ok()?;
                let from = at;
                at = at.checked_add(len)?;
                Some(from..at)
            }
            5 => {
                at = at.checked_add(4)?;
                None
            }
            _ => return None,
        };
        if at > bytes.len() {
            return None;
        }
        found.push(((key >> 3) as u32, start..at, content));
    }
    Some(found)
}
