//! Inputs that are taken, made by code: what others are changed from.

pub(crate) mod models;
#[cfg(feature = "parquet")]
pub(crate) mod parquet;
pub(crate) mod pictures;
pub(crate) mod sources;
pub(crate) mod texts;
