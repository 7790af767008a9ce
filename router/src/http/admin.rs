//! The admin port: what operators see. Its own thread and runtime, so that it answers while the data plane is saturated.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio_util::sync::CancellationToken;

use crate::http::health;
use crate::http::readiness::Readiness;
use crate::metrics;

/// The admin port's server; ends when dropped.
pub(crate) struct Admin {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Begins to answer on `listener`.
    ///
    /// # Errors
    ///
    /// The thread, its runtime or the listener cannot be set up.
    pub(crate) fn start(listener: TcpListener, readiness: Arc<Readiness>) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let router = router(readiness);
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
            stop,
            thread: Some(thread),
        })
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

fn router(readiness: Arc<Readiness>) -> Router {
    Router::new()
        .route("/metrics", get(show_metrics))
        .route("/view", get(view))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .with_state(readiness)
}

async fn show_metrics(State(readiness): State<Arc<Readiness>>) -> Response {
    let Some(recorder) = metrics::recorder() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut text = recorder.render();
    metrics::render_store(readiness.store(), &mut text);
    if let Some(pipeline) = readiness.pipeline() {
        metrics::render_session(&pipeline.session, &mut text);
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn view(State(readiness): State<Arc<Readiness>>) -> Response {
    let unavailable = |why| (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    let Some(pipeline) = readiness.pipeline() else {
        return unavailable("the state store has not been joined yet\n".to_owned());
    };
    match pipeline.session.view().await {
        Ok(view) => Json(view).into_response(),
        Err(error) => unavailable(format!("{error}\n")),
    }
}
