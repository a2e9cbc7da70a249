//! Discovery on a real Consul, with real Envoys.

mod contract;
mod health;
mod outage;
mod rights;
mod setting;
mod together;
