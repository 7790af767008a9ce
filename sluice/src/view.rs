//! `sluice view`: the quota as all replicas see it.

mod table;

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use shared::state::view::View;

use crate::failure::Failure;
use crate::output;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The admin address of any replica
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090")]
    admin: String,
    /// Print the JSON as it comes
    #[arg(long)]
    json: bool,
}

/// Longer than a replica waits for its store.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { admin, json } = arguments;
    let text = fetch(&admin).await?;
    if json {
        return output::print(&format!("{}\n", text.trim_end()));
    }
    let view: View = serde_json::from_str(&text)
        .with_context(|| format!("{admin} answers with something else than a view"))?;
    output::print(&table::render(&view))
}

async fn fetch(admin: &str) -> Result<String, Failure> {
    let url = format!("{}/view", admin.trim_end_matches('/'));
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        // The admin address is inside; a proxy for the way out would not find it.
        .no_proxy()
        .build()
        .context("cannot make an HTTP client")?;
    let response = client.get(&url).send().await.with_context(|| {
        format!("cannot reach a router's admin address at {admin}; name it with --admin")
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
