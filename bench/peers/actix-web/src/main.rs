//! The liveness route on Actix Web: a peer that taskapi is measured against.

use std::{env, error::Error, net::Ipv4Addr, str::FromStr, thread::available_parallelism};

use actix_web::{App, HttpServer, Responder, get, web::Json};
use mimalloc::MiMalloc;
use serde::Serialize;

/// As Actix Web services that are tuned for load commonly do; the Axum peer has it too.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const PORT_DEFAULT: u16 = 8080;
/// Longest wait for open connections once the service is told to end.
const SHUTDOWN_SECONDS: u64 = 5;

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[get("/health")]
async fn health() -> impl Responder {
    Json(Health { status: "ok" })
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = from_env("PORT")?.unwrap_or(PORT_DEFAULT);
    let workers = match from_env("WORKERS")? {
        Some(workers) => workers,
        None => available_parallelism()?.get(),
    };
    HttpServer::new(|| App::new().service(health))
        .workers(workers)
        .tcp_nodelay(true)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .bind((Ipv4Addr::LOCALHOST, port))?
        .run()
        .await?;
    Ok(())
}

/// `None` when the variable is not set.
fn from_env<T: FromStr<Err: Error + 'static>>(name: &str) -> Result<Option<T>, Box<dyn Error>> {
    match env::var(name) {
        Ok(text) => Ok(Some(text.parse()?)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
