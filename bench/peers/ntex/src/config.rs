//! Settings, from the environment.

use std::{env, str::FromStr, thread::available_parallelism};

use anyhow::{Context, anyhow};

#[derive(Clone)]
pub struct Config {
    pub port: u16,
    /// Threads that serve requests, each with its own connections.
    pub workers: usize,
    pub database_url: String,
    /// Connections of each worker for reads; statements are pipelined over them.
    pub read_connections: usize,
    /// Connections of each worker for writes. One that waits for a commit holds up what is pipelined behind it, so
    /// without batches it takes many.
    pub write_connections: usize,
    /// Whether calls of one operation that wait at the same time become one statement.
    pub batching: bool,
    pub jwt_secret: String,
    /// Passwords that are hashed at a time. Each takes 19 MiB and a whole core.
    pub hash_threads: usize,
}

impl Config {
    pub fn from_env() -> anyhow::Result<Self> {
        let batching = read("BATCHING", "off".to_owned())? == "on";
        let config = Self {
            port: read("PORT", 8080)?,
            workers: read("WORKERS", 1)?,
            database_url: required("DATABASE_URL")?,
            read_connections: read("READ_CONNECTIONS", 2)?,
            write_connections: read("WRITE_CONNECTIONS", if batching { 2 } else { 16 })?,
            batching,
            jwt_secret: required("JWT_SECRET")?,
            hash_threads: available_parallelism()?.get(),
        };
        anyhow::ensure!(config.workers > 0, "WORKERS must be at least 1");
        anyhow::ensure!(
            config.read_connections > 0 && config.write_connections > 0,
            "READ_CONNECTIONS and WRITE_CONNECTIONS must be at least 1"
        );
        Ok(config)
    }
}

fn read<T: FromStr>(name: &str, default: T) -> anyhow::Result<T> {
    match env::var(name) {
        Ok(text) => text.parse().map_err(|_| anyhow!("{name} is \"{text}\"")),
        Err(_) => Ok(default),
    }
}

fn required(name: &str) -> anyhow::Result<String> {
    let text = env::var(name).with_context(|| format!("{name} is required"))?;
    anyhow::ensure!(!text.is_empty(), "{name} must not be empty");
    Ok(text)
}
