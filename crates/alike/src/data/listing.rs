//! What a source holds, before anything is decoded: a line for every image.

use super::foreign::Unread;
use super::reader::{FileAt, Reader};
use crate::identity::{self, Identities};
use crate::images::Images;
use crate::names::shown;
use crate::rng;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zip::ZipArchive;

/// Which part of a data set an image belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Trained on.
    Train,
    /// Judged by while training.
    Validation,
    /// Judged by afterwards.
    Test,
}

/// What an image of the test part is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It asks, and it answers others.
    #[default]
    Both,
    /// It asks.
    Query,
    /// It answers.
    Gallery,
}

/// An image that has not been decoded yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its path within the source, with slashes; unique.
    pub name: String,
    /// Its class's name.
    pub class: Option<String>,
    /// Its part, where the source says.
    pub part: Option<Part>,
    /// See [`Role`].
    pub role: Role,
    /// What its class is a kind of.
    pub category: Option<String>,
    /// Images of one group (a person, a product, a writer) belong on one side of a split.
    pub group: Option<String>,
    /// The part of the picture that counts: left, top, right, bottom, the last two excluded.
    pub area: Option<[u32; 4]>,
    /// Turned counter-clockwise by so many quarters.
    pub quarters: u8,
    /// What the table says of it in columns that mean nothing here, in the order of [`Listing::more`].
    pub(super) more: Vec<String>,
    pub(super) place: Place,
    /// Follows from its name within its source.
    pub(super) key: u64,
}

/// Where an image's bytes lie.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    File(PathBuf),
    /// A member of a zip archive.
    Zip {
        archive: u32,
        member: u32,
    },
    /// Bytes of an archive that stores them as they are.
    Span {
        archive: u32,
        start: u64,
        len: u64,
    },
    /// An image of [`Listing::rows`], decoded already.
    Row(u32),
}

impl Entry {
    pub(super) fn new(name: String, place: Place) -> Entry {
        Entry {
            key: identity::key(&name, ""),
            name,
            class: None,
            part: None,
            role: Role::Both,
            category: None,
            group: None,
            area: None,
            quarters: 0,
            more: Vec::new(),
            place,
        }
    }

    /// What of its picture it is; nothing where it is all of it, as it stands.
    fn share(&self) -> String {
        match (self.area, self.quarters) {
            (None, 0) => String::new(),
            (None, quarters) => format!("@{}", 90 * u32::from(quarters)),
            (Some([x1, y1, x2, y2]), quarters) => {
                format!("#{x1},{y1},{x2},{y2}@{}", 90 * u32::from(quarters))
            }
        }
    }
}

/// A file that holds many images.
#[derive(Clone, Debug)]
pub(super) struct Archive {
    pub(super) path: PathBuf,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Zip(ZipArchive<FileAt>),
    Plain(Arc<File>),
}

/// Why a picture of a source is not among its images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Why {
    /// It has no class, where others have one.
    NoClass,
    /// It lies beside the folders that are the set's parts.
    BesideParts,
    /// The table of the set does not name it.
    NotInTable,
    /// No list names its class.
    NotInLists,
    /// It belongs to a sample that has another picture.
    OtherOfSample,
    /// It is a link to what is not there.
    DanglingLink,
    /// Alike drew it.
    Drawn,
    /// It lies in the folder of a run.
    InRun,
    /// It is a pipe, a socket or a device.
    NotAFile,
}

/// Pictures of a source that are not among its images.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LeftOut {
    /// The reason.
    pub why: Why,
    /// How many.
    pub count: usize,
    /// The first of them, or the folders that they are in.
    pub names: Vec<String>,
    /// Those that are images all the same where neither classes nor parts are asked for.
    #[serde(skip)]
    pub(super) entries: Vec<Entry>,
}

/// Names that are kept of those left out.
const NAMED: usize = 20;
/// Names of those that a sentence has.
const SAID: usize = 3;

impl LeftOut {
    pub(super) fn new(why: Why, names: impl IntoIterator<Item = String>) -> LeftOut {
        let mut left = LeftOut { why, count: 0, names: Vec::new(), entries: Vec::new() };
        for name in names {
            left.count += 1;
            if left.count <= NAMED {
                left.names.push(name);
            }
        }
        left
    }

    pub(super) fn of(why: Why, entries: Vec<Entry>) -> LeftOut {
        LeftOut { entries: entries.clone(), ..LeftOut::new(why, entries.into_iter().map(|e| e.name)) }
    }

    /// What a user should know: how many, why, and which.
    pub fn sentence(&self) -> String {
        let one = self.count == 1;
        let has = if one { "has" } else { "have" };
        let lies = if one { "lies" } else { "lie" };
        let is = if one { "is" } else { "are" };
        let why = match self.why {
            Why::NoClass => format!("that {has} no class, beside others that do"),
            Why::BesideParts => format!("that {lies} beside the folders of parts"),
            Why::NotInTable => "that the table does not name".to_owned(),
            Why::NotInLists => "whose class is in no list".to_owned(),
            Why::OtherOfSample => "beside the one that stands for its sample".to_owned(),
            Why::DanglingLink => {
                format!("that {is} {} to what is not there", if one { "a link" } else { "links" })
            }
            Why::Drawn => "that Alike drew".to_owned(),
            Why::InRun => format!("that {lies} in the folder of a run"),
            Why::NotAFile => {
                format!(
                    "that {is} {}",
                    if one { "a pipe, socket or device" } else { "pipes, sockets or devices" }
                )
            }
        };
        let more = if self.names.len() > SAID { ", ..." } else { "" };
        let names = self.names.iter().take(SAID).map(String::as_str).collect::<Vec<_>>().join(", ");
        format!("left out: {} picture{} {why}: {names}{more}", self.count, if one { "" } else { "s" })
    }
}

/// All images of a source.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// In the source's order.
    pub entries: Vec<Entry>,
    /// Pictures that were found but are not among the entries.
    pub left: Vec<LeftOut>,
    /// By name of an entry: a column of the source's table, where one was asked for.
    pub(super) values: HashMap<String, String>,
    /// The same by row, while names are not final.
    pub(super) wished: Vec<String>,
    /// Files that are no pictures by their names.
    pub ignored: usize,
    /// Columns of the source's table that mean nothing here.
    pub(super) more: Vec<String>,
    /// Pictures that this build cannot read.
    pub unread: Unread,
    /// What a user should know of how the source was read.
    pub notes: Vec<String>,
    pub(super) archives: Vec<Archive>,
    /// Images that need no decoding.
    pub(super) rows: Option<Images>,
}

impl Listing {
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader::new(self)
    }

    /// Counts a file that is not listed.
    pub(super) fn leave_out(&mut self, name: &str) {
        if !self.unread.add(name) {
            self.ignored += 1;
        }
    }

    /// What is to be said of files that are not listed.
    pub(super) fn left_out(&self) -> Vec<String> {
        let others = match self.ignored {
            0 => None,
            1 => Some("a file that is no picture is ignored".to_owned()),
            n => Some(format!("{n} files that are no pictures are ignored")),
        };
        self.unread.sentences().into_iter().chain(others).collect()
    }

    /// Whether the entries are features rather than pictures.
    pub fn is_features(&self) -> bool {
        self.rows.as_ref().is_some_and(Images::are_floats)
    }

    /// Puts entries into an order that does not depend on that of the source, a table's rows say, so that nothing that is computed
    /// from them does. Arrays have no names, and keep theirs.
    pub(super) fn sort(&mut self) {
        if self.rows.is_none() {
            self.entries.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }

    /// Gives images of one name a number each, and rows that were asked for the names of their images: one picture may be named
    /// twice, for two parts of it. Which is the first does not depend on the order of the rows.
    pub(super) fn number_repeated(&mut self) {
        let mut of_name: HashMap<String, Vec<usize>> = HashMap::new();
        self.entries.iter().enumerate().for_each(|(i, e)| of_name.entry(e.name.clone()).or_default().push(i));
        for (name, mut rows) in of_name.into_iter().filter(|(_, rows)| rows.len() > 1) {
            let all = |i: &usize| {
                let e = &self.entries[*i];
                let part = e.part.map(|p| p as u8);
                (e.area, e.quarters, e.class.clone(), e.group.clone(), e.category.clone(), part, e.role as u8)
            };
            rows.sort_by_cached_key(all);
            for (n, i) in rows.into_iter().enumerate().skip(1) {
                self.entries[i].name = format!("{name}#{}", n + 1);
            }
        }
        let values = std::mem::take(&mut self.wished);
        self.values = self.entries.iter().map(|e| e.name.clone()).zip(values).collect();
    }

    /// Which pictures the entries of `kept` are; `origin` is what holds them, where they are no files.
    pub(super) fn identities(&self, kept: &[usize], origin: &str) -> Identities {
        let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let origin = shown(canonical(Path::new(origin)));
        let archives: Vec<String> = self.archives.iter().map(|a| shown(canonical(&a.path))).collect();
        // A folder is looked up once, a file only where it is a link.
        let parents: HashSet<&Path> = kept
            .iter()
            .filter_map(|i| match &self.entries[*i].place {
                Place::File(path) => path.parent(),
                _ => None,
            })
            .collect();
        let parents: HashMap<&Path, PathBuf> = parents
            .into_par_iter()
            .map(|p| (p, canonical(if p == Path::new("") { Path::new(".") } else { p })))
            .collect();
        let place = |e: &Entry| {
            let whole = match &e.place {
                Place::File(path) => {
                    let link = path.symlink_metadata().is_ok_and(|m| m.is_symlink());
                    shown(match (path.parent().and_then(|p| parents.get(p)), path.file_name()) {
                        (Some(parent), Some(name)) if !link => parent.join(name),
                        _ => canonical(path),
                    })
                }
                Place::Zip { archive, member } => format!("{}/{member}", archives[*archive as usize]),
                Place::Span { archive, start, .. } => format!("{}/{start}", archives[*archive as usize]),
                Place::Row(row) => format!("{origin}/{row}"),
            };
            whole + &e.share()
        };
        let each: Vec<(u64, String)> = kept
            .par_iter()
            .map(|i| {
                let e = &self.entries[*i];
                // Rows of an array are known by their numbers.
                let key = if self.rows.is_some() { rng::mix(*i as u64) } else { e.key };
                (rng::mix(key ^ identity::key(&e.share(), "")), place(e))
            })
            .collect();
        Identities::new(each.iter().map(|(key, place)| (*key, place.as_str())))
    }

    /// Names the files that an entry's bytes depend on, with their sizes and times; and what else tells one file from another.
    pub(super) fn stamp(&self, entry: &Entry) -> (String, State) {
        let of = |path: &Path| {
            // The same from whatever folder it is asked for.
            let whole = std::path::absolute(path);
            let name = whole.as_deref().unwrap_or(path).as_os_str();
            match std::fs::metadata(path) {
                Ok(m) => {
                    let changed =
                        m.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
                    let text = format!("{} {} {:?}", shown(name), m.len(), changed.map(|t| t.as_nanos()));
                    (text, State::of(&m))
                }
                Err(_) => (format!("{} absent", shown(name)), State::default()),
            }
        };
        match &entry.place {
            Place::File(path) => of(path),
            // The archive itself is stamped once.
            place => (format!("{place:?}"), State::default()),
        }
    }

    pub(super) fn archive_stamps(&self) -> Vec<(String, State)> {
        let all = self.archives.iter();
        all.map(|a| self.stamp(&Entry::new(String::new(), Place::File(a.path.clone())))).collect()
    }
}

/// What a file has beside its size and the time of its content: which file it is, and when anything of it last changed. A copy that
/// keeps its time, or another file of this name, differs by these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) inode: u64,
    /// In nanoseconds.
    pub(super) changed: i64,
}

impl State {
    fn of(facts: &std::fs::Metadata) -> State {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(facts);
        #[cfg(not(unix))]
        let inode = 0;
        State { inode, changed: super::kept::changed(facts).unwrap_or(0) }
    }
}
