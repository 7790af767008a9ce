//! The data plane: what a request goes through between a client and an upstream.

pub mod dialect;
pub mod upstream;
