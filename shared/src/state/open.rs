//! The store that a configuration names.

use std::sync::Arc;

use super::memory::MemoryState;
use super::redis::RedisState;
use super::{SharedState, StateError};
use crate::config::{Config, StateStore};
use crate::time::SystemClock;

/// Opens the store that `config` names: a new one in this process, or a connection of its own to Redis.
///
/// # Errors
///
/// When the setting cannot name a store. Nothing is sent to it yet.
pub fn open(config: &Config) -> Result<Arc<dyn SharedState>, StateError> {
    Ok(match &config.state {
        StateStore::Memory => Arc::new(MemoryState::new(Arc::new(SystemClock::start()))),
        StateStore::Redis(url) => Arc::new(RedisState::new(url.expose(), config)?),
    })
}
