//! The admin port: what operators see. Its own thread and runtime, so that it answers while the data plane is saturated.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio_util::sync::CancellationToken;

use crate::http::health;
use crate::metrics;
use crate::pipeline::Pipeline;

/// The pipeline, once this replica has joined the store.
type Joined = Arc<OnceLock<Arc<Pipeline>>>;

/// The admin port's server; ends when dropped.
pub(crate) struct Admin {
    joined: Joined,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Begins to answer on `listener`; not ready until [`Admin::join`].
    ///
    /// # Errors
    ///
    /// The thread, its runtime or the listener cannot be set up.
    pub(crate) fn start(listener: TcpListener) -> io::Result<Self> {
        let joined = Joined::default();
        let stop = CancellationToken::new();
        let router = router(Arc::clone(&joined));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        listener.set_nonblocking(true)?;
        let listener = {
            let _guard = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    tokio::select! {
                        served = axum::serve(listener, router) => {
                            if let Err(error) = served {
                                tracing::error!(%error, "The admin port failed: {error}");
                            }
                        }
                        () = stopped.cancelled() => {}
                    }
                });
            })?;
        Ok(Self {
            joined,
            stop,
            thread: Some(thread),
        })
    }

    /// Shows `pipeline` from now on.
    pub(crate) fn join(&self, pipeline: Arc<Pipeline>) {
        if self.joined.set(pipeline).is_err() {
            tracing::debug!("The admin port was told of two pipelines");
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("The admin port's thread panicked");
        }
    }
}

fn router(joined: Joined) -> Router {
    Router::new()
        .route("/metrics", get(show_metrics))
        .route("/view", get(view))
        .route("/livez", get(health::livez))
        .route("/readyz", get(readyz))
        .with_state(joined)
}

async fn show_metrics(State(joined): State<Joined>) -> Response {
    let Some(recorder) = metrics::recorder() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut text = recorder.render();
    if let Some(pipeline) = joined.get() {
        metrics::render_session(&pipeline.session, &mut text);
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn view(State(joined): State<Joined>) -> Response {
    let Some(pipeline) = joined.get() else {
        return not_joined();
    };
    match pipeline.session.view().await {
        Ok(view) => Json(view).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

async fn readyz(State(joined): State<Joined>) -> Response {
    match joined.get() {
        Some(pipeline) => health::readyz(State(Arc::clone(pipeline))).await,
        None => not_joined(),
    }
}

fn not_joined() -> Response {
    let why = "this replica has not joined the state store yet\n";
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}
