//! The binary, as a user types it.

mod bad_input;
mod cleaning;
mod collections;
mod command;
mod demo;
mod download;
mod encoders;
mod galleries;
mod groups;
mod hostile;
mod layouts;
mod licences;
mod order;
mod protocols;
mod schemas;
mod sources;
mod tables;
mod trust;
mod unread;
mod using;
mod verbs;
mod version_0_1;
