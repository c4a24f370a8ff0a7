//! Codes in a file: a cache, which is known to be worthless by what it says of itself and by its sum.

use super::{Codes, List};
use alike::files::{self, FileError};
use alike::images::Features;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::path::Path;
use xxhash_rust::xxh3::Xxh3;

const MAGIC: &[u8; 8] = b"alikecod";
/// Rises when the same vectors would be coded otherwise.
const VERSION: u32 = 1;
/// Tells machines whose numbers are the other way round.
const ORDER: u32 = 0x0102_0304;
/// The longest header that is believed.
const LONGEST: u32 = 1 << 24;

/// What codes are of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// The collection.
    pub(crate) uuid: String,
    /// See [`crate::About::generation`].
    pub(crate) generation: i64,
    /// The last vector that is coded.
    pub(crate) last: i64,
}

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    order: u32,
    stamp: Stamp,
    d: usize,
    members: usize,
    /// By centre: rows, further members and radius.
    lists: Vec<(usize, usize, f32)>,
}

/// A file of codes cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodeFileError {
    /// There is none.
    #[error("there is none")]
    Absent,
    /// It is of another collection, or of an older state.
    #[error("it is of an older state")]
    Stale,
    /// It is damaged, or of another version.
    #[error("it is damaged, or of another version")]
    Damaged,
}

fn damaged<E>(_: E) -> CodeFileError {
    CodeFileError::Damaged
}

impl Codes {
    /// Writes codes, and by member the number of its vector and that of its picture.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub(crate) fn write(
        &self,
        path: &Path,
        stamp: &Stamp,
        [ids, items]: [&[i64]; 2],
    ) -> Result<(), FileError> {
        let head = Head {
            version: VERSION,
            order: ORDER,
            stamp: stamp.clone(),
            d: self.d,
            members: self.members,
            lists: self.lists.iter().map(|l| (l.len(), l.more.len(), l.radius)).collect(),
        };
        // A machine that stops before the disk has all leaves a file with another sum.
        files::write_soon(path, |out| {
            let text = serde_json::to_vec(&head)?;
            let mut sum = Xxh3::new();
            let mut put = |bytes: &[u8]| -> io::Result<()> {
                sum.update(bytes);
                out.write_all(bytes)
            };
            put(MAGIC)?;
            put(&(text.len() as u32).to_ne_bytes())?;
            put(&text)?;
            put(bytemuck::cast_slice(self.centres.data()))?;
            put(bytemuck::cast_slice(ids))?;
            put(bytemuck::cast_slice(items))?;
            for list in &self.lists {
                put(&list.codes)?;
                put(bytemuck::cast_slice(&list.scale))?;
                put(bytemuck::cast_slice(&list.square))?;
                put(bytemuck::cast_slice(&list.error))?;
                put(bytemuck::cast_slice(&list.first))?;
                let more: Vec<[u32; 2]> = list.more.iter().map(|(row, member)| [*row, *member]).collect();
                put(bytemuck::cast_slice(&more))?;
            }
            let sum = sum.digest();
            out.write_all(&sum.to_ne_bytes())
        })
    }

    /// Reads codes of a collection in a state, of vectors of `d` numbers.
    pub(crate) fn read(
        path: &Path,
        uuid: &str,
        generation: i64,
        d: usize,
    ) -> Result<(Codes, Stamp, [Vec<i64>; 2]), CodeFileError> {
        let (file, len) = files::open_sized(path).map_err(|_| CodeFileError::Absent)?;
        let mut from = Summed { from: file, sum: Xxh3::new() };
        let mut begin = [0; 12];
        from.fill(&mut begin)?;
        let text_len = u32::from_ne_bytes([begin[8], begin[9], begin[10], begin[11]]);
        if !begin.starts_with(MAGIC) || text_len > LONGEST {
            return Err(CodeFileError::Damaged);
        }
        let mut text = vec![0; text_len as usize];
        from.fill(&mut text)?;
        let head: Head = serde_json::from_slice(&text).map_err(damaged)?;
        if head.version != VERSION || head.order != ORDER || head.d != d || d == 0 {
            return Err(CodeFileError::Damaged);
        }
        if head.stamp.uuid != uuid || head.stamp.generation != generation {
            return Err(CodeFileError::Stale);
        }
        let width = d.next_multiple_of(alike_kernels::CODE_RUN);
        // Memory is taken for no more than the file has.
        let room = |n: usize, bytes: usize| -> Result<usize, CodeFileError> {
            n.checked_mul(bytes).filter(|b| *b as u64 <= len).map(|_| n).ok_or(CodeFileError::Damaged)
        };
        let mut centres = vec![0f32; room(head.lists.len(), 4 * d)? * d];
        from.fill(bytemuck::cast_slice_mut(&mut centres))?;
        let mut ids = vec![0i64; room(head.members, 16)?];
        from.fill(bytemuck::cast_slice_mut(&mut ids))?;
        let mut items = vec![0i64; head.members];
        from.fill(bytemuck::cast_slice_mut(&mut items))?;
        let mut lists = Vec::with_capacity(head.lists.len());
        let mut counted = 0usize;
        for (rows, more, radius) in &head.lists {
            let rows = room(*rows, width + 16)?;
            let mut list = List { radius: *radius, ..List::default() };
            list.codes.resize(rows.next_multiple_of(alike_kernels::CODE_ROWS) * width, 0);
            from.fill(&mut list.codes)?;
            for floats in [&mut list.scale, &mut list.square, &mut list.error] {
                floats.resize(rows, 0.0);
                from.fill(bytemuck::cast_slice_mut(floats))?;
            }
            list.first.resize(rows, 0);
            from.fill(bytemuck::cast_slice_mut(&mut list.first))?;
            let mut pairs = vec![[0u32; 2]; room(*more, 8)?];
            from.fill(bytemuck::cast_slice_mut(&mut pairs))?;
            list.more = pairs.into_iter().map(|[row, member]| (row, member)).collect();
            counted += rows + more;
            lists.push(list);
        }
        let expected = from.sum.digest();
        let mut sum = [0; 8];
        from.from.read_exact(&mut sum).map_err(damaged)?;
        let of_members = |m: &u32| (*m as usize) < head.members;
        let is_sound = lists.iter().all(|l| {
            l.first.iter().all(of_members)
                && l.more.iter().all(|(row, m)| (*row as usize) < l.len() && of_members(m))
        });
        if u64::from_ne_bytes(sum) != expected || counted != head.members || !is_sound {
            return Err(CodeFileError::Damaged);
        }
        let centres = Features::new(d, centres);
        let codes = Codes { d, width, centres, lists, members: head.members };
        Ok((codes, head.stamp, [ids, items]))
    }
}

/// Reads, and sums what it reads.
struct Summed {
    from: std::fs::File,
    sum: Xxh3,
}

impl Summed {
    fn fill(&mut self, into: &mut [u8]) -> Result<(), CodeFileError> {
        self.from.read_exact(into).map_err(damaged)?;
        self.sum.update(into);
        Ok(())
    }
}
