//! The binary, as a user types it.

mod bad_input;
mod command;
mod demo;
mod download;
mod licences;
mod protocols;
mod sources;
mod unread;
mod using;
mod verbs;
