//! `sluice view`: the quota as all replicas see it.

mod table;

use anyhow::Context as _;
use clap::Args;
use shared::state::view::View;

use crate::failure::Failure;
use crate::{admin, output};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The admin address of any replica
    #[arg(long, value_name = "URL", default_value = admin::DEFAULT)]
    admin: String,
    /// Print the JSON as it comes
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { admin, json } = arguments;
    let text = admin::get(&admin, "/view").await?;
    if json {
        return output::print(&format!("{}\n", text.trim_end()));
    }
    let view: View = serde_json::from_str(&text)
        .with_context(|| format!("{admin} answers with something else than a view"))?;
    output::print(&table::render(&view))
}
