//! What a person types: what proxies hold and why, and what files would become.
//!
//! Each command is a module. Translation and rules are those of the libraries: nothing here decides what a proxy gets.

pub mod inspect;
pub mod offline;
