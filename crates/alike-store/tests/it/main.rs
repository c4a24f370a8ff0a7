//! Collections, as the library offers them.

mod changes;
mod faults;
mod index;
mod said;
mod scene;
mod sync;
