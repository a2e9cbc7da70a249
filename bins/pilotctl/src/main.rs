//! `pilotctl`: ask and check.

fn main() {}
