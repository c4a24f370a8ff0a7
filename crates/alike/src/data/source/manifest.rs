//! A table that names images: a CSV file with a header.
//!
//! | column | meaning |
//! |---|---|
//! | `path` | of the image, from the table's folder on |
//! | `label` (or `class`) | its class; without it images have none |
//! | `split` | train, val, test, query or gallery |
//! | `is_query`, `is_gallery` | whether a test image asks, or answers |
//! | `category` | what the class is a kind of |
//! | `group` | images of a group (a person, a product) stay on one side of a split |
//! | `x_1`, `y_1`, `x_2`, `y_2` | the part of the picture that counts, in pixels |

use super::arrange::{drop_classless, part};
use super::wrong;
use crate::data::DataError;
use crate::data::listing::{Entry, Listing, Part, Place, Role};
use crate::files;
use std::collections::HashMap;
use std::path::Path;

/// The columns that have a meaning.
pub(super) const COLUMNS: [&str; 13] = [
    "path",
    "label",
    "class",
    "split",
    "is_query",
    "is_gallery",
    "category",
    "group",
    "x_1",
    "y_1",
    "x_2",
    "y_2",
    "row",
];

/// The table among the files of a source: `manifest.csv`, or the only CSV file at the top.
pub(super) fn among<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut tables: Vec<&str> = names.filter(|n| n.to_ascii_lowercase().ends_with(".csv")).collect();
    let depth = tables.iter().map(|n| n.matches('/').count()).min()?;
    tables.retain(|n| n.matches('/').count() == depth);
    tables.sort_unstable();
    let named = tables.iter().find(|n| n.rsplit('/').next() == Some("manifest.csv"));
    named.or(tables.first().filter(|_| tables.len() == 1)).copied()
}

/// Whether a table has a column of paths.
pub(super) fn names_paths(text: &[u8]) -> bool {
    let first = text.split(|b| *b == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(first).split([',', '\t']).any(|c| c.trim().trim_matches('"') == "path")
}

/// The same of a file.
pub(super) fn has_paths(table: &Path) -> bool {
    files::read(table).is_ok_and(|text| names_paths(&text))
}

/// Reads a table whose paths are files.
pub(super) fn open(table: &Path) -> Result<Listing, DataError> {
    let text = files::read(table)?;
    let base = table.parent().unwrap_or(Path::new(""));
    read(table, &text, &|name| Some(Place::File(base.join(name))))
}

/// Rows of a table whose columns are set apart by commas or by tabs.
fn reader(text: &[u8]) -> csv::Reader<&[u8]> {
    let header = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let delimiter = if header.contains(&b'\t') { b'\t' } else { b',' };
    csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(text)
}

/// A column of a data set's table, by the names of its images: of a table, or of the one in a folder.
///
/// # Errors
///
/// If there is no table, or no such column.
pub fn manifest_column(source: &Path, name: &str) -> Result<HashMap<String, String>, DataError> {
    let table = if source.is_dir() { source.join("manifest.csv") } else { source.to_owned() };
    let text = if table.is_file() { files::read(&table)? } else { Vec::new() };
    if !names_paths(&text) {
        let why = format!("it has no table with columns, so there is no '{name}' to tell images apart by");
        return Err(wrong(source, why));
    }
    let mut csv = reader(&text);
    let columns = csv.headers().map_err(|e| wrong(&table, e.to_string()))?.clone();
    let at = |name: &str| columns.iter().position(|c| c.trim_start_matches('\u{feff}') == name);
    let (Some(path), Some(value)) = (at("path"), at(name)) else {
        let there: Vec<&str> = columns.iter().collect();
        return Err(wrong(&table, format!("it has no column '{name}' (its columns: {})", there.join(", "))));
    };
    let mut found = HashMap::new();
    for record in csv.records() {
        let record = record.map_err(|e| wrong(&table, e.to_string()))?;
        if let (Some(path), Some(value)) = (record.get(path), record.get(value)) {
            found.insert(path.to_owned(), value.to_owned());
        }
    }
    Ok(found)
}

/// Reads a table; `place` tells where the file of a path lies.
pub(super) fn read(
    table: &Path,
    text: &[u8],
    place: &dyn Fn(&str) -> Option<Place>,
) -> Result<Listing, DataError> {
    let mut csv = reader(text);
    let columns: Vec<String> =
        csv.headers().map_err(|e| wrong(table, e.to_string()))?.iter().map(str::to_owned).collect();
    let rows = csv.records().enumerate().map(|(i, record)| {
        let record = record.map_err(|e| wrong(table, e.to_string()))?;
        Ok((i + 2, record.iter().map(str::to_owned).collect()))
    });
    from_rows(table, &columns, rows, place)
}

/// Rows, each with the number of its line, as entries.
pub(super) fn from_rows(
    table: &Path,
    columns: &[String],
    rows: impl Iterator<Item = Result<(usize, Vec<String>), DataError>>,
    place: &dyn Fn(&str) -> Option<Place>,
) -> Result<Listing, DataError> {
    let column = |name: &str| columns.iter().position(|c| c.trim_start_matches('\u{feff}') == name);
    let Some(path) = column("path") else {
        return Err(wrong(
            table,
            format!(
                "it has no column 'path' (its columns: {}; known: {})",
                columns.join(", "),
                COLUMNS.join(", ")
            ),
        ));
    };
    let label = column("label").or(column("class"));
    let others =
        [column("split"), column("is_query"), column("is_gallery"), column("category"), column("group")];
    let corners = [column("x_1"), column("y_1"), column("x_2"), column("y_2")];
    if corners.iter().any(Option::is_some) && corners.iter().any(Option::is_none) {
        return Err(wrong(table, "a part of a picture takes four columns: x_1, y_1, x_2 and y_2"));
    }
    // What means nothing here is kept for who writes the table anew.
    let more: Vec<usize> = (0..columns.len())
        .filter(|i| {
            let name = columns[*i].trim_start_matches('\u{feff}');
            // Beside a label a class is nothing but a column.
            !COLUMNS.contains(&name) || name == "class" && column("label").is_some()
        })
        .collect();
    let mut listing =
        Listing { more: more.iter().map(|i| columns[*i].clone()).collect(), ..Listing::default() };
    let mut missing = Vec::new();
    for row in rows {
        let (line, row) = row?;
        let get =
            |at: Option<usize>| at.and_then(|i| row.get(i)).map(String::as_str).filter(|v| !v.is_empty());
        let refuse = |column: &str, value: &str, want: &str| {
            wrong(table, format!("line {line}: {column} is {want}, not '{value}'"))
        };
        let Some(name) = get(Some(path)) else { return Err(refuse("path", "", "a file's name")) };
        let Some(place) = place(name) else {
            missing.push(name.to_owned());
            continue;
        };
        let mut entry = Entry::new(name.to_owned(), place);
        entry.class = get(label).map(str::to_owned);
        entry.category = get(others[3]).map(str::to_owned);
        entry.group = get(others[4]).map(str::to_owned);
        if let Some(value) = get(others[0]) {
            (entry.part, entry.role) = match (part(value), value.to_ascii_lowercase().as_str()) {
                (Some(part), _) => (Some(part), Role::Both),
                (_, "query") => (Some(Part::Test), Role::Query),
                (_, "gallery") => (Some(Part::Test), Role::Gallery),
                _ => return Err(refuse("split", value, "train, val, test, query or gallery")),
            };
        }
        let truth = |at: Option<usize>, column: &str| match get(at).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(None),
            Some("1" | "true" | "yes") => Ok(Some(true)),
            Some("0" | "false" | "no") => Ok(Some(false)),
            Some(value) => Err(refuse(column, value, "true or false")),
        };
        match (truth(others[1], "is_query")?, truth(others[2], "is_gallery")?) {
            (None, None) => {}
            (Some(true), Some(true)) => {
                entry.role = Role::Both;
                entry.part = entry.part.or(Some(Part::Test));
            }
            (Some(true), _) => entry.role = Role::Query,
            (_, Some(true)) => entry.role = Role::Gallery,
            // Neither asks nor answers: it is trained on, if the table does not say otherwise.
            _ => entry.part = entry.part.or(Some(Part::Train)),
        }
        if entry.role != Role::Both {
            entry.part = entry.part.or(Some(Part::Test));
        }
        if let Some(first) = get(corners[0]) {
            let mut area = [0; 4];
            for (value, at) in area.iter_mut().zip(corners) {
                let text = get(at).unwrap_or("");
                // Pixels are sometimes written with a fraction.
                *value = match text.parse::<f64>() {
                    Ok(v) if (0.0..4e9).contains(&v) => v.round() as u32,
                    _ => return Err(refuse("x_1, y_1, x_2, y_2", text, "a number of pixels")),
                };
            }
            if area[0] >= area[2] || area[1] >= area[3] {
                return Err(refuse("x_1 and y_1", first, "left of x_2 and above y_2"));
            }
            entry.area = Some(area);
        }
        entry.more = more.iter().map(|i| row.get(*i).cloned().unwrap_or_default()).collect();
        listing.entries.push(entry);
    }
    if let Some(first) = missing.first() {
        return Err(wrong(
            table,
            format!("{} of its paths are not in the archive, the first: {first}", missing.len()),
        ));
    }
    drop_classless(&mut listing);
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<Listing, String> {
        read(Path::new("t.csv"), text.as_bytes(), &|n| Some(Place::File(n.into()))).map_err(|e| e.to_string())
    }

    #[test]
    fn columns_say_what_images_are() {
        let l = table(
            "path,label,split,group,x_1,y_1,x_2,y_2\n a.png ,cat,train,g1,1,2,30.0,40\na.png,cat,query,g2,,,,\nb.png,dog,val,,,,,\n",
        )
        .unwrap();
        let e = &l.entries;
        assert_eq!(
            (e[0].part, e[0].area, e[0].group.as_deref()),
            (Some(Part::Train), Some([1, 2, 30, 40]), Some("g1"))
        );
        assert_eq!((e[1].part, e[1].role, e[1].name.as_str()), (Some(Part::Test), Role::Query, "a.png"));
        assert_eq!((e[2].part, e[2].group.as_deref()), (Some(Part::Validation), None));
        let l = table("path,label,is_query,is_gallery\na,x,0,0\nb,x,1,0\nc,x,0,1\n").unwrap();
        let parts: Vec<_> = l.entries.iter().map(|e| (e.part, e.role)).collect();
        let test = Some(Part::Test);
        assert_eq!(parts, [(Some(Part::Train), Role::Both), (test, Role::Query), (test, Role::Gallery)]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        assert!(
            table("file,label\na,b\n").unwrap_err().contains("no column 'path' (its columns: file, label")
        );
        assert!(table("path,split\na,train\nb,trian\n").unwrap_err().contains("line 3: split is"));
        assert!(table("path,x_1\na,3\n").unwrap_err().contains("four columns"));
        assert!(table("path,x_1,y_1,x_2,y_2\na,3,3,2,9\n").unwrap_err().contains("line 2"));
        assert!(table("path,is_query\na,maybe\n").unwrap_err().contains("true or false"));
        assert!(table("path,label\na\n").is_err(), "a row that is too short");
    }

    #[test]
    fn a_table_is_found_among_files() {
        assert_eq!(among(["a/x.png", "a/manifest.csv", "a/z.csv"].into_iter()), Some("a/manifest.csv"));
        assert_eq!(among(["x.png", "list.csv"].into_iter()), Some("list.csv"));
        assert_eq!(among(["a.csv", "b.csv"].into_iter()), None);
        assert!(names_paths(b"\"path\",label\n") && !names_paths(b"name,x\npath,1\n"));
    }
}
