//! Settings, from the environment.

use std::thread::available_parallelism;

use serde::Deserialize;

#[derive(Deserialize)]
pub struct Config {
    pub port: u16,
    /// Threads that run the service.
    pub workers: usize,
    pub database_url: String,
    pub pool_size: u32,
    pub jwt_secret: String,
    pub jwt_expiration_hours: u32,
    pub log_level: String,
}

impl Config {
    pub fn from_env() -> anyhow::Result<Self> {
        let cpus = available_parallelism()?.get() as u64;
        let config = config::Config::builder()
            .set_default("port", 8080)?
            .set_default("workers", cpus)?
            .set_default("pool_size", 10)?
            .set_default("jwt_expiration_hours", 24)?
            .set_default("log_level", "info")?
            .add_source(config::Environment::default())
            .build()?
            .try_deserialize::<Self>()?;
        anyhow::ensure!(config.workers > 0, "WORKERS must be at least 1");
        anyhow::ensure!(config.pool_size > 0, "POOL_SIZE must be at least 1");
        anyhow::ensure!(
            !config.jwt_secret.is_empty(),
            "JWT_SECRET must not be empty"
        );
        Ok(config)
    }
}
