//! What this machine is called.

/// This machine's name; a Kubernetes pod's is the pod's.
pub fn name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".to_owned())
}
