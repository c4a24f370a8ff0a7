//! What keeps a collection from its answer.

use crate::filter::FilterError;
use alike::data::DataError;
use alike::encoder::EncoderError;
use alike::files::FileError;
use alike::gallery::GalleryError;
use alike::tasks::TaskError;
use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};

/// A collection cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such file.
    #[error("there is no collection {}{hint}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// The nearest name, as a question.
        hint: String,
    },
    /// There is something already.
    #[error("{} exists already; name another", .0.display())]
    Exists(PathBuf),
    /// A text that cannot name a collection of the user's folder.
    #[error(
        "'{0}' is no name for a collection: use letters, digits, dots, dashes and underscores, or give a path that ends in .alike"
    )]
    Name(String),
    /// The system has no folder for the user's data.
    #[error("this system names no folder for a user's data; name a file, as in photos.alike")]
    NoFolder,
    /// A file is something else.
    #[error("{} is no collection: {why}", path.display())]
    NotACollection {
        /// The file.
        path: PathBuf,
        /// What it is, or what it lacks.
        why: String,
    },
    /// A file was written by a later version.
    #[error(
        "{} was written by a newer version of alike (its schema is {found}, this version knows up to {known}); use that version",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema's version.
        found: i64,
        /// The latest that is known here.
        known: i64,
    },
    /// Somebody else writes.
    #[error(
        "{} is being written by {}; it was waited for, try again when that has ended", path.display(),
        holder.as_deref().unwrap_or("another process")
    )]
    Locked {
        /// The file.
        path: PathBuf,
        /// The process that holds it, where that can be known.
        holder: Option<String>,
    },
    /// Nothing may be written there.
    #[error("{} cannot be written: the file or its folder is read-only", .0.display())]
    ReadOnly(PathBuf),
    /// There is no room.
    #[error("{} cannot be written: the disk is full; nothing of this step was kept", .0.display())]
    Full(PathBuf),
    /// The database is damaged, or fails in another way.
    #[error("{} cannot be used: {why}", path.display())]
    Sql {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        why: rusqlite::Error,
    },
    /// What is stored does not make sense.
    #[error("{} is damaged: {why}; see all with: alike collection check", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Embeddings of another encoder.
    #[error(
        "{} holds embeddings of another encoder (made by {address}), which cannot be compared with this one's; to change encoders, use: alike collection reembed",
        path.display()
    )]
    Fingerprint {
        /// The collection.
        path: PathBuf,
        /// What made its embeddings.
        address: String,
    },
    /// Vectors of another length.
    #[error("{} holds vectors of {expected} numbers, not of {got}", path.display())]
    Dimension {
        /// The collection.
        path: PathBuf,
        /// Its vectors' length.
        expected: usize,
        /// The length of what is given.
        got: usize,
    },
    /// A vector that no distance can be computed of.
    #[error("the embedding of {name} holds values that are no finite numbers; nothing was added")]
    NotFinite {
        /// The picture.
        name: String,
    },
    /// A picture is there already.
    #[error("{image} is in {} already; nothing was added", path.display())]
    Twice {
        /// The picture.
        image: String,
        /// The collection.
        path: PathBuf,
    },
    /// No picture of this path or number.
    #[error("there is no picture '{what}' in {}{hint}", path.display())]
    NoItem {
        /// What was asked for.
        what: String,
        /// The collection.
        path: PathBuf,
        /// What may be meant.
        hint: String,
    },
    /// Pictures that were to be embedded are not there.
    #[error(
        "{count} pictures of {} are not there any more, the first is {first}; nothing was changed", path.display()
    )]
    Gone {
        /// The collection.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// A condition that cannot be read, or does not type.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A request that makes no sense.
    #[error("{0}")]
    Request(String),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A gallery could not be read.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// Pictures cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Pictures cannot be embedded.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// A question cannot be answered.
    #[error(transparent)]
    Task(#[from] TaskError),
}

/// Tells what SQLite says in our words.
pub(crate) fn told(path: &Path) -> impl Fn(rusqlite::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |why| {
        let path = path.clone();
        let code = why.sqlite_error_code();
        match code {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                let holder = crate::holder::of(&path);
                StoreError::Locked { path, holder }
            }
            Some(ErrorCode::DiskFull) => StoreError::Full(path),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly(path),
            Some(ErrorCode::NotADatabase) => {
                StoreError::NotACollection { path, why: "it is no SQLite file".into() }
            }
            _ => StoreError::Sql { path, why },
        }
    }
}
