//! What a person types: what proxies hold and why, and what files would become.
//!
//! [`cli`] is the tree of commands, and each command is a module. Translation and rules are those of the libraries: nothing
//! here decides what a proxy gets.

pub mod cli;
pub mod crds;
pub mod diff;
pub mod explain;
pub mod inspect;
pub mod keys;
pub mod offline;
