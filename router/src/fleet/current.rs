//! The fleet in force, and how it goes over to the next.

use std::sync::{Arc, PoisonError, RwLock};

use shared::catalog::Catalog;
use shared::config::Config;

use super::Fleet;

/// The snapshot that new requests take.
#[derive(Debug)]
pub(crate) struct CurrentFleet {
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<Config>,
    fleet: Arc<Fleet>,
}

impl CurrentFleet {
    pub(crate) fn new(config: Arc<Config>, catalog: Arc<Catalog>) -> Self {
        let fleet = Arc::new(Fleet::build(&config, catalog, None));
        Self {
            current: RwLock::new(Current { config, fleet }),
        }
    }

    /// The snapshot for `catalog`, built anew when the store's catalog is another one than before.
    pub(crate) fn at(&self, catalog: &Arc<Catalog>) -> Arc<Fleet> {
        {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            if Arc::ptr_eq(&current.fleet.catalog, catalog) {
                return Arc::clone(&current.fleet);
            }
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Whoever was slower must not bring back an older one.
        let is_older = catalog.version < current.fleet.catalog.version
            && current.fleet.catalog.succeeds(catalog);
        if !is_older && !Arc::ptr_eq(&current.fleet.catalog, catalog) {
            let previous = Some(&*current.fleet);
            let fleet = Fleet::build(&current.config, Arc::clone(catalog), previous);
            current.fleet = Arc::new(fleet);
        }
        Arc::clone(&current.fleet)
    }

    /// Goes over to another configuration; requests that are under way keep their snapshot.
    pub(crate) fn reload(&self, config: Arc<Config>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let catalog = Arc::clone(&current.fleet.catalog);
        *current = Current {
            fleet: Arc::new(Fleet::build(&config, catalog, Some(&current.fleet))),
            config,
        };
    }
}
