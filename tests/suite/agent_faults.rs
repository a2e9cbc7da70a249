//! The agent under faults: Envoy dies, the agent dies, discovery is not there or goes, the disk is full. What is under way ends well,
//! the reason of an end is told, and no process is left.

mod disk;
mod ends;
mod pages;
mod scene;
mod starts;
