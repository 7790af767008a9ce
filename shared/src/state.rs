//! State that all routers agree on.

pub mod session;
pub mod view;
