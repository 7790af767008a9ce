//! `sluice demo`: a simulated provider, a router and a coordinator in one process, and lines to try them with.

use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Args;
use shared::config::{Config, Overrides};
use shared::{signals, telemetry};
use simulator::{KeyRule, Options};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::serve::Both;
use crate::{output, simulate};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Where the router answers
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where /metrics and /view are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    admin_listen: SocketAddr,
    /// Where the simulated provider answers
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    simulator_listen: SocketAddr,
}

const CLIENT_KEY: &str = "sk-sluice-demo";

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments {
        listen,
        admin_listen,
        simulator_listen,
    } = arguments;
    let simulator_listener = simulate::bind(simulator_listen, "--simulator-listen").await?;
    let simulator_listen = simulator_listener
        .local_addr()
        .context("cannot read the simulator's address")?;
    let config = configuration(listen, admin_listen, simulator_listen)?;
    telemetry::init(&config.telemetry).context("cannot start logging")?;
    let shutdown = signals::shutdown().context("cannot listen to signals")?;

    // The simulated provider allows each key what the router believes it does.
    let keys = config.providers.iter().flat_map(|provider| &provider.keys);
    let rules = keys.map(|key| KeyRule {
        secret: key.secret.expose().clone(),
        limits: key.limits,
    });
    let options = Options {
        keys: rules.collect(),
        ..Options::default()
    };
    let both = Both::start(config, None, None).await?;
    let (listen, admin_listen) = both.addresses();
    output::print(&welcome(listen, admin_listen, simulator_listen))?;

    // The provider outlives the router, whose last streams still come from it.
    let is_drained = CancellationToken::new();
    let simulated = simulator::serve(
        simulator_listener,
        options,
        is_drained.clone().cancelled_owned(),
    );
    let routed = async {
        let result = both.run(shutdown).await;
        is_drained.cancel();
        result
    };
    let (routed, simulated) = tokio::join!(routed, simulated);
    routed?;
    simulated.context("the simulator failed")?;
    Ok(())
}

/// The demo's configuration, written as a user would write it; the environment does not touch it.
fn configuration(
    listen: SocketAddr,
    admin_listen: SocketAddr,
    simulator_listen: SocketAddr,
) -> Result<Config, Failure> {
    let yaml = format!(
        "
listen: '{listen}'
admin_listen: '{admin_listen}'
state: memory
providers:
  - name: simulator
    dialect: openai_chat
    base_url: http://{simulator_listen}/v1
    health: {{ probe: models, interval: 5s }}
    keys:
      - {{ name: large, secret: sk-simulated-large, weight: 3, limits: {{ concurrency: 12, rpm: 300, tpm: 120000 }} }}
      - {{ name: medium, secret: sk-simulated-medium, weight: 2, limits: {{ concurrency: 8, rpm: 200, tpm: 80000 }} }}
      - {{ name: small, secret: sk-simulated-small, weight: 1, limits: {{ concurrency: 4, rpm: 100, tpm: 40000 }} }}
models:
  - {{ name: demo, strategy: weighted, upstreams: [{{ provider: simulator }}] }}
client_keys:
  - {{ name: demo, secret: {CLIENT_KEY} }}
timeouts: {{ drain: 10s }}
telemetry: {{ log: text, level: warn }}
"
    );
    Config::from_yaml(&yaml, &Overrides::default(), std::iter::empty())
        .map_err(|error| Failure::Refused(error.to_string()))
}

fn welcome(listen: SocketAddr, admin_listen: SocketAddr, simulator_listen: SocketAddr) -> String {
    let authorization = format!("-H 'Authorization: Bearer {CLIENT_KEY}'");
    let chat =
        format!("curl http://{listen}/v1/chat/completions -H 'Content-Type: application/json'");
    // As it was started, so that the line can be pasted: `target/release/sluice` under cargo.
    let program = std::env::args_os()
        .next()
        .unwrap_or_else(|| "sluice".into());
    let program = program.display();
    let messages = r#""messages":[{"role":"user","content":"Hello"}]"#;
    let contents = r#""contents":[{"role":"user","parts":[{"text":"Hello"}]}]"#;
    format!(
        r#"Sluice runs:
  router     http://{listen}   model `demo`, client key `{CLIENT_KEY}`
  admin      http://{admin_listen}   /metrics, /view and /leader
  simulator  http://{simulator_listen}   a provider with the keys large, medium and small, weighted 3:2:1

Try it in another terminal; Ctrl-C ends it.

# One answer; the header x-sluice-key tells which key served it
{chat} -i {authorization} -d '{{"model":"demo",{messages}}}'

# The same as a stream
{chat} -N {authorization} -d '{{"model":"demo","stream":true,{messages}}}'

# The same model in other languages: OpenAI's Responses, Anthropic's, Gemini's and Ollama's
curl http://{listen}/v1/responses {authorization} -d '{{"model":"demo","input":"Hello"}}'
curl http://{listen}/v1/messages -H 'x-api-key: {CLIENT_KEY}' -d '{{"model":"demo","max_tokens":50,{messages}}}'
curl http://{listen}/v1beta/models/demo:generateContent -H 'x-goog-api-key: {CLIENT_KEY}' -d '{{{contents}}}'
curl http://{listen}/api/chat {authorization} -d '{{"model":"demo",{messages}}}'

# Without a client key: 401
{chat} -i -d '{{"model":"demo",{messages}}}'

# The models
curl http://{listen}/v1/models {authorization}

# Take a key out, and bring it back
{program} keys drain simulator/large --admin http://{admin_listen}
{program} keys enable simulator/large --admin http://{admin_listen}

# What is used of each limit, as a table and as metrics
{program} view --admin http://{admin_listen}
curl http://{admin_listen}/metrics
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_is_a_valid_configuration() {
        let [listen, admin_listen, simulator_listen] =
            ["127.0.0.1:8080", "[::1]:9090", "[::1]:8081"].map(|text| text.parse().unwrap());

        let config = configuration(listen, admin_listen, simulator_listen)
            .map_err(|failure| failure.to_string())
            .unwrap();

        assert_eq!(config.providers[0].keys.len(), 3);
        assert_eq!(config.providers[0].base_url, "http://[::1]:8081/v1");
    }
}
