//! The binary, as a user types it.

mod bad_input;
mod cleaning;
mod command;
mod demo;
mod download;
mod galleries;
mod groups;
mod licences;
mod protocols;
mod sources;
mod using;
mod verbs;
