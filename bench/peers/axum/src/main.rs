//! The article's task service on Axum, sqlx and Tokio: a peer that taskapi is measured against.

mod auth;
mod config;
mod error;
mod extract;
mod handlers;
mod models;
mod state;

use std::{net::Ipv4Addr, process, str::FromStr, sync::Arc, time::Duration};

use axum::{
    Router,
    routing::{get, post},
    serve::ListenerExt,
};
use mimalloc::MiMalloc;
use sqlx::{
    ConnectOptions, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    net::TcpListener,
    runtime,
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use tower::ServiceBuilder;
use tower_http::{
    compression::CompressionLayer,
    cors::{Any, CorsLayer},
    trace::TraceLayer,
};
use tracing_subscriber::EnvFilter;

use crate::{auth::Auth, config::Config, state::AppState};

/// A request is many small, short-lived allocations that often die on another thread than they were born on:
/// mimalloc is quicker at those than the C library, and Rust services that are tuned for load commonly use it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Longest wait for open requests once the service is told to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> anyhow::Result<()> {
    let config = Config::from_env()?;
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&config.log_level)?)
        .json()
        .init();
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(config.workers)
        // Only passwords block. Each takes 19 MiB and a whole core, so more at a time would not be quicker.
        .max_blocking_threads(config.workers)
        .enable_all()
        .build()?;
    // Spawned, because accepting is quicker on a worker than on this thread, which is not one.
    runtime.block_on(async { tokio::spawn(run(config)).await? })
}

async fn run(config: Config) -> anyhow::Result<()> {
    let state = AppState {
        db: connect(&config).await?,
        auth: Arc::new(Auth::new(&config.jwt_secret, config.jwt_expiration_hours)?),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was not set");
        }
    });
    axum::serve(listener, router(state))
        .with_graceful_shutdown(told_to_end())
        .await?;
    Ok(())
}

fn router(state: AppState) -> Router {
    let api = Router::new()
        .route("/auth/register", post(handlers::auth::register))
        .route("/auth/login", post(handlers::auth::login))
        .route(
            "/tasks",
            get(handlers::tasks::list_tasks).post(handlers::tasks::create_task),
        )
        .route(
            "/tasks/{id}",
            get(handlers::tasks::get_task)
                .patch(handlers::tasks::update_task)
                .delete(handlers::tasks::delete_task),
        );
    Router::new()
        .route("/health", get(handlers::health))
        .nest("/api/v1", api)
        .fallback(handlers::unknown_path)
        .with_state(state)
        .layer(
            ServiceBuilder::new()
                .layer(TraceLayer::new_for_http())
                .layer(CompressionLayer::new())
                .layer(
                    CorsLayer::new()
                        .allow_origin(Any)
                        .allow_methods(Any)
                        .allow_headers(Any),
                ),
        )
}

/// A pool of fixed size, opened before the first request; statements are prepared once for each connection.
async fn connect(config: &Config) -> anyhow::Result<PgPool> {
    let options = PgConnectOptions::from_str(&config.database_url)?.disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(config.pool_size)
        .min_connections(config.pool_size)
        .idle_timeout(None)
        // The default asks the database whether it is there before every statement.
        .test_before_acquire(false)
        .connect_with(options)
        .await?;
    Ok(pool)
}

async fn told_to_end() {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be handled");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async {
        sleep(SHUTDOWN_TIMEOUT).await;
        tracing::warn!("requests are still open, ending without them");
        process::exit(1);
    });
}
