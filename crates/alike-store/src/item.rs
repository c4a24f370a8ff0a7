//! A picture of a collection.

use alike::data::FileStamp;
use serde::Serialize;
use serde_json::{Map, Value};

/// A picture that is to be added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewItem {
    /// Its canonical path, or that of its archive and its member; see [`alike::identity`].
    pub place: String,
    /// Its file.
    pub stamp: FileStamp,
    /// The hash of its content, where that is known.
    pub hash: Option<u128>,
    /// Its class.
    pub class: Option<String>,
    /// Its group.
    pub group: Option<String>,
    /// What else is known of it.
    pub facts: Map<String, Value>,
    /// A small picture to show (JPEG), where the collection keeps them.
    pub thumbnail: Option<Vec<u8>>,
}

/// A picture of a collection.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Item {
    /// Its number, never given twice.
    pub id: i64,
    /// Where it lies: a canonical path, or that of an archive and the member.
    pub path: String,
    /// Its class.
    pub class: Option<String>,
    /// Whether the class was set by hand, so that it stays when folders say otherwise.
    pub by_hand: bool,
    /// Its group.
    pub group: Option<String>,
    /// What else is known of it.
    pub facts: Map<String, Value>,
    /// Bytes of its file.
    pub size: Option<i64>,
    /// When its file changed (UTC).
    pub modified: Option<String>,
    /// When it was added (UTC).
    pub added: String,
    /// How it was added: add, enroll, sync, import.
    pub how: String,
    /// What it was added with: a folder, a file.
    pub with: String,
}

/// What happens to a picture that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Nothing is added at all.
    Refuse,
    /// It stays as it is.
    Keep,
    /// Its vector and all that is known of it are replaced; a class that was set by hand stays.
    Replace,
}

/// Why pictures are added: a row of the table of occasions, written with the first of them.
#[derive(Clone, Debug)]
pub struct Occasion {
    pub(crate) how: &'static str,
    pub(crate) what: String,
    pub(crate) id: Option<i64>,
}

impl Occasion {
    /// `how` is a word: `add`, `enroll`, `sync` or `import`; `what` is what was given.
    pub fn new(how: &'static str, what: impl Into<String>) -> Occasion {
        Occasion { how, what: what.into(), id: None }
    }
}

/// What became of pictures that were to be added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// New ones.
    pub added: usize,
    /// Those that were there and are replaced.
    pub replaced: usize,
    /// Those that were there and stay.
    pub kept: usize,
}

impl std::ops::AddAssign for Added {
    fn add_assign(&mut self, more: Added) {
        self.added += more.added;
        self.replaced += more.replaced;
        self.kept += more.kept;
    }
}
