//! Pairs of test images that a table names.

use super::ProtocolError;
use crate::data::{FIRST, SAME, SECOND, Split, Table, truth};
use std::collections::HashMap;
use std::path::Path;

/// Pairs of images by their numbers, and whether each is of one class.
pub type GivenPairs = Vec<([usize; 2], bool)>;

/// Reads a table of pairs: two columns of names of images of `split`, and one of truths.
///
/// # Errors
///
/// If the table cannot be read, lacks a column, names an image that is not there, or pairs a picture with itself.
pub fn read_pairs(path: &Path, split: &Split) -> Result<GivenPairs, ProtocolError> {
    let index: HashMap<&str, usize> = split.names.iter().enumerate().map(|(i, n)| (n.as_str(), i)).collect();
    let table = Table::read(path)?;
    let column = |wanted: &'static [&'static str]| {
        table.any(wanted).ok_or_else(|| ProtocolError::NoColumn {
            path: path.to_owned(),
            column: wanted[0],
            there: table.columns.join(", "),
            wanted: [FIRST[0], SECOND[0], SAME[0]].join(", "),
        })
    };
    let (a, b, same) = (column(&FIRST)?, column(&SECOND)?, column(&SAME)?);
    let mut pairs = Vec::new();
    for (line, row) in &table.rows {
        let refuse = |why: String| ProtocolError::Pair { path: path.to_owned(), line: *line, why };
        let image = |column: usize| {
            let name = row[column].as_str();
            // As tables of images may write them.
            let slashes = name.replace('\\', "/");
            let spelt = [name, &slashes, slashes.trim_start_matches("./")];
            let found = spelt.iter().find_map(|n| index.get(n).copied());
            found.ok_or_else(|| refuse(format!("there is no test image '{name}'")))
        };
        let Some(is_same) = truth(&row[same]) else {
            return Err(refuse(format!("same is true or false, not '{}'", row[same])));
        };
        let [one, other] = [image(a)?, image(b)?];
        let place = split.identities.place(one);
        if one == other || (place.is_some() && place == split.identities.place(other)) {
            let [one, other] = [one, other].map(|i| split.names[i].clone());
            return Err(ProtocolError::SamePicture { path: path.to_owned(), one, other });
        }
        pairs.push(([one, other], is_same));
    }
    Ok(pairs)
}
