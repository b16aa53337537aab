//! Failures, and the answers they become.

use axum::{
    Json,
    extract::rejection::{JsonRejection, PathRejection, QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;
use thiserror::Error;
use validator::ValidationErrors;

#[derive(Debug, Error)]
pub enum AppError {
    #[error("Not found: {0}")]
    NotFound(&'static str),
    #[error("{0}")]
    Unauthorized(&'static str),
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    Conflict(&'static str),
    #[error("Internal server error")]
    Internal(#[from] anyhow::Error),
    #[error("Database error")]
    Database(#[source] sqlx::Error),
}

pub type AppResult<T> = Result<T, AppError>;

impl AppError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Internal(_) | Self::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        match &self {
            Self::Internal(error) => tracing::error!(?error, "internal error"),
            Self::Database(error) => tracing::error!(?error, "database error"),
            _ => {}
        }
        (self.status(), Json(json!({ "error": self.to_string() }))).into_response()
    }
}

impl From<sqlx::Error> for AppError {
    fn from(error: sqlx::Error) -> Self {
        /// SQLSTATE of text that the database's encoding cannot hold, such as NUL.
        const CHARACTER_NOT_IN_REPERTOIRE: &str = "22021";
        if let Some(database) = error.as_database_error() {
            if database.constraint() == Some("tasks_user_id_fkey") {
                return Self::Unauthorized("The account of this token no longer exists");
            }
            if database.code().as_deref() == Some(CHARACTER_NOT_IN_REPERTOIRE) {
                return Self::BadRequest("Text must not contain NUL".into());
            }
        }
        Self::Database(error)
    }
}

/// Names the rules that are broken, never the values: one of them may be a password.
impl From<ValidationErrors> for AppError {
    fn from(errors: ValidationErrors) -> Self {
        let broken = errors.field_errors().into_iter().map(|(field, errors)| {
            let rules: Vec<_> = errors.iter().map(|error| error.code.as_ref()).collect();
            format!("{field} ({})", rules.join(", "))
        });
        Self::BadRequest(format!(
            "Invalid: {}",
            broken.collect::<Vec<_>>().join(", ")
        ))
    }
}

macro_rules! bad_request_from {
    ($($rejection:ty),+) => {$(
        impl From<$rejection> for AppError {
            fn from(rejection: $rejection) -> Self {
                Self::BadRequest(rejection.body_text())
            }
        }
    )+};
}

bad_request_from!(JsonRejection, PathRejection, QueryRejection);
