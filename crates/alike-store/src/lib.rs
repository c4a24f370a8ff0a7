//! Collections: embeddings that live in a SQLite file, and are searched exactly.
//!
//! A [`Collection`] holds an encoder's fingerprint and address, and of each picture where it lies, its class, group, facts and vector. It is
//! the record; the index beside it ([`index`]) is a cache that can be thrown away. [`schema`] documents the tables, [`filter`] the language of conditions.

#![forbid(unsafe_code)]

mod collection;
mod error;
pub mod filter;
mod holder;
pub mod index;
mod item;
mod items;
mod maintenance;
pub mod schema;
mod time;
pub mod user;

pub use collection::{About, Access, Address, Collection, ENDING, METRIC, PATIENCE, is_collection};
pub use error::StoreError;
pub use filter::{Filter, FilterError};
pub use item::{Added, Item, NewItem, Occasion, Stamp, Taken};
pub use items::Change;
pub use maintenance::{BackupAnswer, CheckAnswer, CompactAnswer, Summary};
