//! The control plane: what no single request can look after, such as probing keys and publishing a changed catalog.
//!
//! It holds no duty yet. No request needs it: routers admit against the shared state alone.
