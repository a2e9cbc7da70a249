//! The protocol against scripted and modelled clients.

mod envoy;
mod hard;
mod names;
mod property;
mod rejections;
mod rules;
mod scenarios;
mod script;
mod sharing;
mod world;
