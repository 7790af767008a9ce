//! Asking an admin port.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::Method;

use crate::failure::Failure;

/// Where a process's admin port is unless its configuration says otherwise.
pub(crate) const DEFAULT: &str = "http://127.0.0.1:9090";

/// Longer than a replica waits for its store.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The text that `path` answers below `admin`.
pub(crate) async fn get(admin: &str, path: &str) -> Result<String, Failure> {
    ask(Method::GET, admin, path).await
}

pub(crate) async fn put(admin: &str, path: &str) -> Result<String, Failure> {
    ask(Method::PUT, admin, path).await
}

async fn ask(method: Method, admin: &str, path: &str) -> Result<String, Failure> {
    let url = format!("{}{path}", admin.trim_end_matches('/'));
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        // The admin address is inside; a proxy for the way out would not find it.
        .no_proxy()
        .build()
        .context("cannot make an HTTP client")?;
    let response = client.request(method, &url).send().await.with_context(|| {
        format!("cannot reach an admin address at {admin}; name it with --admin")
    })?;
    let status = response.status();
    let text = response
        .text()
        .await
        .with_context(|| format!("the answer of {url} broke off"))?;
    if !status.is_success() {
        return Err(anyhow::anyhow!("{url} answers {status}: {}", text.trim_end()).into());
    }
    Ok(text)
}
