//! A table beside an array: what its rows are, a line each in their order.
//!
//! `features.npy` or `features.npz` may have a `features.csv`, `.tsv` or `.jsonl` with the columns of [`super::manifest`]: path, label, split, group and so on. A table that `alike
//! embed` wrote is one.

use super::{Wish, manifest, wrong};
use crate::data::DataError;
use crate::data::listing::Listing;
use crate::data::table::Table;
use crate::identity;
use crate::names::shown;
use crate::own_files::WRITTEN_BY;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// Who writes tables beside arrays.
const EMBED: &str = "alike embed";

/// The table beside an array; nothing if there is none, or another verb of Alike wrote it.
fn beside(array: &Path) -> Result<Option<(PathBuf, Table)>, DataError> {
    let Some(path) =
        ["csv", "tsv", "jsonl"].map(|e| array.with_extension(e)).into_iter().find(|p| p.is_file())
    else {
        return Ok(None);
    };
    let table = Table::read(&path)?;
    let by = table.columns.iter().position(|c| c == WRITTEN_BY);
    let is_other = |at: usize| table.rows.first().is_none_or(|(_, row)| row[at] != EMBED);
    Ok((!by.is_some_and(is_other)).then_some((path, table)))
}

/// The rows of an array with what the table beside it says of them, if there is one.
///
/// # Errors
///
/// If the table has not as many rows as the array, or no column of paths, or says what cannot be read.
pub(super) fn described(array: &Path, listing: Listing, wish: &Wish<'_>) -> Result<Listing, DataError> {
    let Some((path, table)) = beside(array)? else { return Ok(listing) };
    let (rows, n) = (table.rows.len(), listing.entries.len());
    if rows != n {
        let why = format!(
            "it lies beside {}, which has {n} rows, but has {rows} itself; write a line for each row, or give it another name",
            shown(array.file_name().unwrap_or_default())
        );
        return Err(wrong(&path, why));
    }
    let mut told = Listing { rows: listing.rows, notes: listing.notes, ..Listing::default() };
    let (written, folder) = (RefCell::new(Vec::new()), array.parent().unwrap_or(Path::new("")));
    let find = |text: &str| {
        let mut written = written.borrow_mut();
        let place = listing.entries[written.len()].place.clone();
        written.push(manifest::tidy(text));
        // A path from the table's folder on, so that the picture can be shown.
        let file = folder.join(text);
        let name = if file.is_file() { shown(&file) } else { text.to_owned() };
        (manifest::tidy(&name), place)
    };
    let name = shown(path.file_name().unwrap_or_default());
    manifest::add(&mut told, &path, &name, &table, None, &find, wish)?;
    // What an array itself says stays where the table does not say it. Keys are those of what is written, wherever the pictures lie.
    let written = written.into_inner();
    for ((entry, own), written) in told.entries.iter_mut().zip(listing.entries).zip(&written) {
        entry.key = identity::key(written, "");
        entry.class = entry.class.take().or(own.class);
        entry.group = entry.group.take().or(own.group);
        entry.part = entry.part.or(own.part);
        entry.area = None;
    }
    told.number_repeated();
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::super::list;
    use super::*;
    use crate::data::Part;

    fn listed(table: &str) -> Result<Listing, String> {
        listed_in(&tempfile::tempdir().unwrap(), table)
    }

    fn listed_in(folder: &tempfile::TempDir, table: &str) -> Result<Listing, String> {
        let path = folder.path().join("f.npy");
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n";
        let values: Vec<u8> = (0..6u8).flat_map(|v| f32::from(v).to_le_bytes()).collect();
        let length = (header.len() as u16).to_le_bytes();
        let bytes = [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), &values].concat();
        std::fs::write(&path, bytes).unwrap();
        std::fs::write(folder.path().join("f.csv"), table).unwrap();
        list(&path, Wish::default()).map_err(|e| e.to_string())
    }

    #[test]
    fn rows_have_what_the_table_beside_them_says() {
        let found = listed(
            "path,label,split,group,weight\nx/a.png,cat,train,g1,7\nx/b.png,dog,query,g2,8\nx/c.png,,gallery,,9\n",
        );
        let found = found.unwrap();
        let e = &found.entries;
        let names: Vec<&str> = e.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, ["x/a.png", "x/b.png", "x/c.png"]);
        assert_eq!(
            (e[0].class.as_deref(), e[1].group.as_deref(), e[2].class.as_deref()),
            (Some("cat"), Some("g2"), None)
        );
        assert_eq!(
            [e[0].part, e[1].part, e[2].part],
            [Some(Part::Train), Some(Part::Test), Some(Part::Test)]
        );
        assert_eq!(found.facts(1).collect::<Vec<_>>(), [("weight", "8")]);
        let mut scratch = Vec::new();
        let bytes = found.rows.as_ref().unwrap().image(2, &mut scratch).unwrap().to_vec();
        assert_eq!(bytes, [4f32.to_ne_bytes(), 5f32.to_ne_bytes()].concat(), "a row is that of its line");
        assert!(found.notes.iter().any(|n| n.contains("weight")), "{:?}", found.notes);
    }

    #[test]
    fn keys_do_not_depend_on_whether_the_pictures_are_there() {
        let table = "path,label\na.png,cat\nb.png,dog\nc.png,dog\n";
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b.png"), b"a picture").unwrap();
        let (here, nowhere) = (listed_in(&folder, table).unwrap(), listed(table).unwrap());
        let keys = |of: &Listing| of.entries.iter().map(|e| e.key).collect::<Vec<_>>();
        assert_eq!(keys(&here), keys(&nowhere));
        assert!(std::path::Path::new(&here.entries[1].name).is_file() && nowhere.entries[1].name == "b.png");
    }

    #[test]
    fn a_table_that_does_not_fit_is_named_and_one_of_another_verb_is_none() {
        let why = listed("path,label\na,cat\n").unwrap_err();
        assert!(why.contains("f.csv") && why.contains("has 3 rows, but has 1"), "{why}");
        assert!(listed("label\ncat\ncat\ndog\n").unwrap_err().contains("no column of paths"));
        let other = listed("path,class,written_by\na,cat,alike classify\n").unwrap();
        assert!(other.entries.len() == 3 && other.entries[0].class.is_none());
        let own = listed(
            "row,path,class,place,written_by\n0,a,cat,/a,alike embed\n1,b,,/b,alike embed\n2,c,dog,/c,alike embed\n",
        );
        assert_eq!(own.unwrap().entries[2].class.as_deref(), Some("dog"));
    }
}
