//! Answers DNS for names of the mesh and forwards the rest.

pub mod table;
