//! The protocol against scripted and modelled clients.

mod hard;
mod rejections;
mod rules;
mod scenarios;
mod script;
mod sharing;
mod world;
