//! Discovery on a real Consul, with real Envoys.

mod contract;
mod datacenters;
mod health;
mod outage;
mod rights;
mod rules;
mod same;
mod secure;
mod setting;
mod socket;
mod together;
