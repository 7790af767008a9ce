//! The shared state against a real Redis: one binary, one module per theme.

mod audit;
mod differential;
mod mutants;
mod server;
mod sessions;
mod world;
