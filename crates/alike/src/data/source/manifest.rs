//! A table that names images.
//!
//! | column | also called | meaning |
//! |---|---|---|
//! | `path` | `file_name`, `file`, `file_path`, `image`, `image_path`, `image_name`, `img`, ... | of the image, from the table's folder on |
//! | `label` | `class`, `labels`, `class_name`, `target` | its class; without it images have none |
//! | `split` | `subset`, `partition`, `data_set` | train, val, test, query or gallery |
//! | `is_query`, `is_gallery` | | whether a test image asks, or answers |
//! | `category` | `superclass` | what the class is a kind of |
//! | `group` | `group_id` | images of a group (a person, a product) stay on one side of a split |
//! | `x_1`, `y_1`, `x_2`, `y_2` | `x_min`, ...; `left`, `top`, `right`, `bottom` | the part of the picture that counts, in pixels |
//!
//! A path may begin with `./`, have backslashes, or be absolute.

use super::arrange::part_and_role;
use super::{Asked, Found, Kind, Wish, wrong};
use crate::data::listing::{Entry, Listing, Part, Place, Role};
use crate::data::table::{self, CATEGORY, CORNERS, GROUP, LABEL, PATH, SPLIT, Table, same_column};
use crate::data::{DataError, Progress};
use crate::names::{from_bytes, shown, unescaped};
use crate::own_files::WRITTEN_BY;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A table as text.
pub(super) struct Manifest;

impl Kind for Manifest {
    fn endings(&self) -> &'static [&'static str] {
        &[".csv", ".tsv", ".jsonl"]
    }

    fn list(&self, asked: &Asked<'_>, wish: Wish<'_>, _: &mut dyn Progress) -> Result<Found, DataError> {
        open(asked.path, &wish).map(Found::from)
    }
}

/// Reads a table whose paths are files.
fn open(table: &Path, wish: &Wish<'_>) -> Result<Listing, DataError> {
    from_table(table, &Table::read(table)?, wish)
}

/// Lists a table whose paths are files.
pub(super) fn from_table(path: &Path, table: &Table, wish: &Wish<'_>) -> Result<Listing, DataError> {
    let folder = Folder::new(path.parent().unwrap_or(Path::new("")));
    let mut listing = Listing::default();
    let name = shown(path.file_name().unwrap_or_default());
    add(&mut listing, path, &name, table, None, &|p| folder.find(p), wish)?;
    listing.number_repeated();
    Ok(listing)
}

/// A folder that paths begin in.
pub(super) struct Folder {
    path: PathBuf,
    /// As an absolute path may begin.
    whole: Vec<PathBuf>,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Folder {
        let at = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let whole = [std::path::absolute(at).ok(), at.canonicalize().ok()].into_iter().flatten().collect();
        Folder { path: path.to_owned(), whole }
    }

    /// What follows the folder in an absolute path.
    pub(super) fn within(&self, path: &str) -> Option<String> {
        let path = Path::new(path);
        if !path.is_absolute() {
            return None;
        }
        self.whole.iter().find_map(|w| path.strip_prefix(w).ok()).map(shown)
    }

    /// The file that a path of a table means, and its name.
    pub(super) fn find(&self, path: &str) -> (String, Place) {
        let mut meant = (tidy(path), OsString::from(path));
        // Only what looks odd is looked for.
        let odd = path.contains('\\') || !path.is_ascii();
        if odd && !self.path.join(path).exists() {
            let mut others = spellings(path);
            let there = others.iter().position(|p| self.path.join(p).exists());
            // A path with backslashes alone was written on Windows, even if it leads nowhere.
            let meant_so = path.contains('\\') && !path.contains('/');
            if let Some(other) = there.or(meant_so.then_some(0)).map(|at| others.swap_remove(at)) {
                meant = (tidy(&shown(&other)), other);
            }
        }
        let (name, file) = meant;
        (self.within(&name).unwrap_or(name), Place::File(self.path.join(file)))
    }
}

/// What a path may mean that is not there as it is written.
pub(super) fn spellings(path: &str) -> Vec<OsString> {
    let slashes = path.replace('\\', "/");
    let bytes = |text: &str| table::as_windows(text).filter(|_| !text.is_ascii()).and_then(from_bytes);
    let all = [
        path.contains('\\').then(|| OsString::from(&slashes)),
        unescaped(path),
        bytes(path),
        bytes(&slashes),
    ];
    all.into_iter().flatten().collect()
}

/// A path without what says nothing.
pub(super) fn tidy(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|p| !p.is_empty() && *p != ".") {
        match parts.last() {
            Some(last) if part == ".." && *last != ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    format!("{}{}", if path.starts_with('/') { "/" } else { "" }, parts.join("/"))
}

/// Whether columns tell more of images than where they are.
pub(super) fn has_meaning(columns: &[String]) -> bool {
    let has = |names: &[&str]| columns.iter().any(|c| names.iter().any(|n| same_column(c, n)));
    has(&LABEL) || has(&SPLIT) || has(&GROUP) || has(&CATEGORY) || has(&["is_query", "is_gallery"])
}

/// Whether columns have paths.
pub(super) fn has_paths(columns: &[String]) -> bool {
    columns.iter().any(|c| PATH.iter().any(|n| same_column(c, n)))
}

/// Whether columns have classes.
pub(super) fn has_classes(columns: &[String]) -> bool {
    columns.iter().any(|c| LABEL.iter().any(|n| same_column(c, n)))
}

/// Where a table's columns are.
struct Columns {
    /// All that mean something, in the order in which they were looked for.
    used: Vec<usize>,
    paths: usize,
    label: Option<usize>,
    split: Option<usize>,
    query: Option<usize>,
    gallery: Option<usize>,
    category: Option<usize>,
    group: Option<usize>,
    corners: [Option<usize>; 4],
}

impl Columns {
    fn of(table: &Table, path: &Path) -> Result<Columns, DataError> {
        let mut used: Vec<usize> = Vec::new();
        let mut any = |names: &[&str]| {
            let at = table.any(names);
            used.extend(at);
            at
        };
        let Some(paths) = any(&PATH) else {
            let (there, wanted) = (named(table), PATH[..4].join(", "));
            let why =
                format!("it has no column of paths (its columns: {there}; wanted: {wanted}, or the like)");
            return Err(wrong(path, why));
        };
        let label = any(&LABEL);
        let [split, query, gallery] = [&SPLIT[..], &["is_query"], &["is_gallery"]].map(&mut any);
        let [category, group] = [&CATEGORY[..], &GROUP].map(&mut any);
        let corners = [0, 1, 2, 3].map(|i| any(&[CORNERS[i], CORNERS[4 + i], CORNERS[8 + i]]));
        if corners.iter().any(Option::is_some) && corners.iter().any(Option::is_none) {
            return Err(wrong(path, "a part of a picture takes four columns: x_1, y_1, x_2 and y_2"));
        }
        Ok(Columns { used, paths, label, split, query, gallery, category, group, corners })
    }

    /// Whether a column has a name and means nothing here.
    fn is_other(&self, table: &Table, i: usize) -> bool {
        !self.used.contains(&i) && !table.columns[i].is_empty() && table.columns[i] != WRITTEN_BY
    }

    /// The image of a row; `refuse` says what is wrong with a column's value, and what is wanted.
    fn entry(
        &self,
        row: &[String],
        usual: Option<Part>,
        find: &dyn Fn(&str) -> (String, Place),
        refuse: &dyn Fn(&str, &str, &str) -> DataError,
    ) -> Result<Option<Entry>, DataError> {
        let get =
            |at: Option<usize>| at.and_then(|i| row.get(i)).map(String::as_str).filter(|v| !v.is_empty());
        let Some(at) = get(Some(self.paths)) else { return Ok(None) };
        let (name, place) = find(at);
        let mut entry = Entry::new(name, place);
        entry.class = get(self.label).map(str::to_owned);
        entry.category = get(self.category).map(str::to_owned);
        entry.group = get(self.group).map(str::to_owned);
        entry.part = usual;
        if let Some(value) = get(self.split) {
            let Some((part, role)) = part_and_role(value) else {
                return Err(refuse("split", value, "train, val, test, query or gallery"));
            };
            (entry.part, entry.role) = (Some(part), role);
        }
        let truth = |at: Option<usize>, column: &str| match get(at).map(|v| (v, table::truth(v))) {
            None => Ok(None),
            Some((_, Some(truth))) => Ok(Some(truth)),
            Some((value, None)) => Err(refuse(column, value, "true or false")),
        };
        match (truth(self.query, "is_query")?, truth(self.gallery, "is_gallery")?) {
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
        if let Some(first) = get(self.corners[0]) {
            let mut area = [0; 4];
            for (value, at) in area.iter_mut().zip(self.corners) {
                let text = get(at).unwrap_or("");
                // Pixels are sometimes written with a fraction.
                *value = match text.replace(',', ".").parse::<f64>() {
                    Ok(v) if (0.0..4e9).contains(&v) => v.round() as u32,
                    _ => return Err(refuse("x_1, y_1, x_2, y_2", text, "a number of pixels")),
                };
            }
            if area[0] >= area[2] || area[1] >= area[3] {
                return Err(refuse("x_1 and y_1", first, "left of x_2 and above y_2"));
            }
            entry.area = Some(area);
        }
        Ok(Some(entry))
    }
}

/// The names of a table's columns.
fn named(table: &Table) -> String {
    table.columns.iter().filter(|c| !c.is_empty()).cloned().collect::<Vec<_>>().join(", ")
}

/// Adds a table's rows to a listing. `find` tells which file a path means, and what it is called; `usual` is the part of images of
/// which the table does not say it.
pub(super) fn add(
    listing: &mut Listing,
    path: &Path,
    shown: &str,
    table: &Table,
    usual: Option<Part>,
    find: &dyn Fn(&str) -> (String, Place),
    wish: &Wish<'_>,
) -> Result<(), DataError> {
    let columns = Columns::of(table, path)?;
    // What means nothing here is kept for who writes the table anew.
    let more: Vec<(usize, usize)> = (0..table.columns.len())
        .filter(|i| columns.is_other(table, *i))
        .map(|i| {
            let name = &table.columns[i];
            let known = listing.more.iter().position(|c| c == name);
            (
                i,
                known.unwrap_or_else(|| {
                    listing.more.push(name.clone());
                    listing.more.len() - 1
                }),
            )
        })
        .collect();
    let wished = match wish.column {
        None => None,
        Some(name) => Some(table.column(name).ok_or_else(|| {
            wrong(path, format!("it has no column '{name}' (its columns: {})", named(table)))
        })?),
    };
    let first = listing.entries.len();
    for (line, row) in &table.rows {
        let refuse = |column: &str, value: &str, want: &str| {
            wrong(path, format!("line {line}: {column} is {want}, not '{value}'"))
        };
        let Some(mut entry) = columns.entry(row, usual, find, &refuse)? else {
            return Err(refuse(&table.columns[columns.paths], "", "a file's name"));
        };
        entry.more = vec![String::new(); if more.is_empty() { 0 } else { listing.more.len() }];
        for (column, at) in &more {
            entry.more[*at] = row.get(*column).cloned().unwrap_or_default();
        }
        listing.entries.push(entry);
        if let Some(at) = wished {
            listing.wished.push(row[at].clone());
        }
    }
    let names = |of: &mut dyn Iterator<Item = usize>| {
        of.map(|i| table.columns[i].as_str()).collect::<Vec<_>>().join(", ")
    };
    let others = names(&mut (0..table.columns.len()).filter(|i| columns.is_other(table, *i)));
    let others = if others.is_empty() { others } else { format!(" (not used: {others})") };
    let n = listing.entries.len() - first;
    let rows = if n == 1 { "row" } else { "rows" };
    let s = if columns.used.len() == 1 { "" } else { "s" };
    let used = names(&mut columns.used.iter().copied());
    listing.notes.push(format!("{shown}: {n} {rows}, column{s} {used}{others}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<Listing, String> {
        let path = Path::new("t.csv");
        let table = Table::parse(path, text.as_bytes()).map_err(|e| e.to_string())?;
        from_table(path, &table, &Wish::default()).map_err(|e| e.to_string())
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
        assert_eq!(l.notes, ["t.csv: 3 rows, columns path, label, split, group, x_1, y_1, x_2, y_2"]);
        let l =
            table("path,label,is_query,is_gallery,pose\na,x,FALSE,0,l\nb,x,TRUE,0,r\nc,x,0,1,l\n").unwrap();
        let parts: Vec<_> = l.entries.iter().map(|e| (e.part, e.role)).collect();
        let test = Some(Part::Test);
        assert_eq!(parts, [(Some(Part::Train), Role::Both), (test, Role::Query), (test, Role::Gallery)]);
        assert!(l.notes[0].ends_with("is_gallery (not used: pose)"), "{:?}", l.notes);
    }

    /// The same two rows under the names that sets of the field have for their columns.
    #[test]
    fn columns_have_other_names_too() {
        let headers = [
            "path,label",
            "Path,Label",
            "FILE_NAME,CLASS",
            "file name,class name",
            "filename,labels",
            "filepaths,labels",
            "Image Path,target",
            "image,label",
            "\"img\",\"Class\"",
        ];
        for header in headers {
            let l = table(&format!("{header}\na.png,x\nb.png,y\n")).unwrap();
            let got: Vec<_> = l.entries.iter().map(|e| (e.name.as_str(), e.class.as_deref())).collect();
            assert_eq!(got, [("a.png", Some("x")), ("b.png", Some("y"))], "{header}");
        }
        let l = table("file_name,label,xmin,ymin,xmax,ymax,data set\na.png,x,1,2,3,4,valid\n").unwrap();
        assert_eq!((l.entries[0].area, l.entries[0].part), (Some([1, 2, 3, 4]), Some(Part::Validation)));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        assert!(
            table("fail,label\na,b\n").unwrap_err().contains("no column of paths (its columns: fail, label")
        );
        assert!(table("path,split\na,train\nb,trian\n").unwrap_err().contains("line 3: split is"));
        assert!(table("path,x_1\na,3\n").unwrap_err().contains("four columns"));
        assert!(table("path,x_1,y_1,x_2,y_2\na,3,3,2,9\n").unwrap_err().contains("line 2"));
        assert!(table("path,is_query\na,maybe\n").unwrap_err().contains("true or false"));
        assert!(table("path,label\na\n").is_err(), "a row that is too short");
    }

    #[test]
    fn a_path_is_the_same_however_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("a")).unwrap();
        std::fs::write(root.join("a/1.png"), b"").unwrap();
        let whole = root.join("a/1.png").display().to_string();
        let of = Folder::new(&root);
        for path in ["a/1.png", "./a/1.png", "a\\1.png", ".\\a\\1.png", "a//1.png", "a/x/../1.png", &whole] {
            let (name, place) = of.find(path);
            assert_eq!(name, "a/1.png", "{path}");
            let Place::File(file) = place else { panic!("{path}") };
            assert!(path.contains("x/..") || file.exists(), "{path}");
        }
        assert_eq!((tidy("../b/./c").as_str(), tidy("/x//y").as_str()), ("../b/c", "/x/y"));
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_can_be_written_in_a_table() {
        let folder = tempfile::tempdir().unwrap();
        let name = from_bytes(b"caf\xe9.png".to_vec()).unwrap();
        std::fs::write(folder.path().join(&name), b"").unwrap();
        let of = Folder::new(folder.path());
        // By its escape, or as a table in Windows-1252 has it.
        for path in ["caf\\xE9.png", "café.png"] {
            assert_eq!(
                of.find(path),
                ("caf\\xE9.png".to_owned(), Place::File(folder.path().join(&name))),
                "{path}"
            );
        }
    }
}
