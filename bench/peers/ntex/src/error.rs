//! Failures, and the statuses they become.

use ntex::http::StatusCode;
use tokio_postgres::error::SqlState;

#[derive(Debug)]
pub enum AppError {
    NotFound(&'static str),
    MethodNotAllowed,
    Unauthorized(&'static str),
    BadRequest(String),
    TooLarge,
    Conflict(&'static str),
    /// More work than can be done, or none in time.
    Unavailable(&'static str),
    Internal(anyhow::Error),
    Database(tokio_postgres::Error),
}

pub type AppResult<T> = Result<T, AppError>;

impl AppError {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) | Self::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// True when PostgreSQL turned a statement down, so that it has changed nothing.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Internal(_) => false,
            Self::Database(error) => error.as_db_error().is_some(),
            _ => true,
        }
    }

    /// For the log. What PostgreSQL says beside its code can hold what a client sent.
    pub fn cause(&self) -> String {
        match self {
            Self::Internal(error) => format!("{error:#}"),
            Self::Database(error) => match error.code() {
                Some(code) => format!("PostgreSQL answers {}", code.code()),
                None => error.to_string(),
            },
            _ => self.message(),
        }
    }

    /// What the client may know.
    pub fn message(&self) -> String {
        match self {
            Self::NotFound(what) => format!("Not found: {what}"),
            Self::MethodNotAllowed => "The path has no such method".into(),
            Self::TooLarge => "The body is too large".into(),
            Self::Unauthorized(text) | Self::Conflict(text) | Self::Unavailable(text) => {
                (*text).into()
            }
            Self::BadRequest(text) => text.clone(),
            Self::Internal(_) | Self::Database(_) => "Internal server error".into(),
        }
    }
}

impl From<anyhow::Error> for AppError {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl From<tokio_postgres::Error> for AppError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(database) = error.as_db_error() {
            if database.constraint() == Some("tasks_user_id_fkey") {
                return Self::Unauthorized("The account of this token no longer exists");
            }
            if *database.code() == SqlState::CHARACTER_NOT_IN_REPERTOIRE {
                return Self::BadRequest("Text must not contain NUL".into());
            }
            if *database.code() == SqlState::QUERY_CANCELED {
                return Self::Unavailable("The database took too long");
            }
        }
        Self::Database(error)
    }
}
