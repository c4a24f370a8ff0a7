//! Collections: embeddings that live in a SQLite file, and are searched exactly.
//!
//! A [`Collection`] holds an encoder's fingerprint and address, and of each picture where it lies, its class, group, facts and vector. It is
//! the record; the index beside it ([`index`]) is a cache that can be thrown away. [`schema`] documents the tables, [`filter`] the language of conditions.

#![forbid(unsafe_code)]

mod calibrate;
mod catalogue;
mod codes;
mod collection;
mod error;
mod extras;
pub mod filter;
mod gallery;
mod holder;
pub mod index;
mod item;
mod items;
mod maintenance;
mod pairs;
#[cfg(feature = "parquet")]
pub mod parquet;
mod reembed;
pub mod schema;
mod search;
mod sync;
mod time;
pub mod user;

pub use calibrate::{NearEnough, calibrate};
pub use catalogue::Collections;
pub use collection::{About, Access, Address, Collection, ENDING, METRIC, PATIENCE, is_collection};
pub use error::StoreError;
pub use filter::{Filter, FilterError};
pub use item::{Added, Item, NewItem, Occasion, Taken};
pub use items::Change;
pub use maintenance::{BackupAnswer, CheckAnswer, CompactAnswer, Summary};
pub use pairs::{Pair, Said};
pub use reembed::{ReembedAnswer, reembed};
pub use search::{BestOf, CollectionIndex, Hit, Wanted, search};
pub use sync::{Embedder, SyncAnswer, SyncOptions, add, sync};
