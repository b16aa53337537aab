//! The task service on ntex and tokio-postgres, tuned: statements pipelined over few connections, binary results, JSON
//! written by hand. With `BATCHING=on` calls share statements as they do in taskapi.

mod auth;
mod batch;
mod config;
mod db;
mod error;
mod handlers;
mod http;
mod input;
mod operations;
mod sql;
mod values;

use std::{net::Ipv4Addr, process, rc::Rc};

use mimalloc::MiMalloc;
use ntex::{
    SharedCfg,
    http::{HttpService, HttpServiceConfig, KeepAlive, Request},
    time::Seconds,
};

use crate::{auth::Auth, config::Config, db::Database};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Longest wait for open requests once the service is told to end.
const SHUTDOWN_TIMEOUT: Seconds = Seconds(5);
const KEEP_ALIVE: KeepAlive = KeepAlive::Timeout(Seconds(75));

/// What every handler of a worker can reach.
pub struct App {
    database: Rc<Database>,
    auth: Auth,
}

impl App {
    async fn start(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            database: Rc::new(Database::connect(config).await?),
            auth: Auth::new(&config.jwt_secret, config.hash_threads)?,
        })
    }
}

#[ntex::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::from_env()?;
    let address = (Ipv4Addr::LOCALHOST, config.port);
    let workers = config.workers;
    ntex::server::build()
        .workers(workers)
        .shutdown_timeout(SHUTDOWN_TIMEOUT)
        .bind("api", address, async move |_| {
            let app = App::start(&config).await.unwrap_or_else(|error| {
                eprintln!("Cannot start: {error:#}");
                process::exit(1);
            });
            let app = Rc::new(app);
            HttpService::h1(move |request: Request| http::serve(app.clone(), request))
        })?
        .config(
            "api",
            SharedCfg::new("API").add(HttpServiceConfig::new().set_keepalive(KEEP_ALIVE)),
        )
        .run()
        .await?;
    Ok(())
}
