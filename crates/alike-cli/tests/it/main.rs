//! The binary, as a user types it.

mod bad_input;
mod command;
mod demo;
mod download;
mod licences;
mod order;
mod protocols;
mod sources;
mod using;
mod verbs;
