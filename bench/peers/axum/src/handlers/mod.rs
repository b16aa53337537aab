pub mod auth;
pub mod tasks;

use axum::Json;
use serde::Serialize;

use crate::error::AppError;

#[derive(Serialize)]
pub struct Health {
    status: &'static str,
}

pub async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

pub async fn unknown_path() -> AppError {
    AppError::NotFound("path")
}
