//! Inputs that are taken, made by code: what others are changed from.

pub(crate) mod models;
pub(crate) mod parquet;
pub(crate) mod pictures;
pub(crate) mod sources;
pub(crate) mod stores;
pub(crate) mod texts;
