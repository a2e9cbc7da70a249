//! The registry against real files, a real watcher and the real store.

//mod contract;
mod faults;
mod links;
mod scale;
mod world;
