//! The shapes of rows, requests and answers.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sqlx::{FromRow, Row, postgres::PgRow};
use uuid::Uuid;
use validator::{Validate, ValidationError};

#[derive(Debug, Clone, Copy, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "task_status", rename_all = "snake_case")]
pub enum TaskStatus {
    Todo,
    InProgress,
    Done,
    Cancelled,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "priority", rename_all = "snake_case")]
pub enum Priority {
    Low,
    Medium,
    High,
    Critical,
}

#[derive(Debug, Serialize)]
pub struct Task {
    pub id: Uuid,
    pub user_id: Uuid,
    pub title: String,
    pub description: Option<String>,
    pub status: TaskStatus,
    pub priority: Priority,
    #[serde(serialize_with = "optional_instant")]
    pub due_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "instant")]
    pub created_at: DateTime<Utc>,
    #[serde(serialize_with = "instant")]
    pub updated_at: DateTime<Utc>,
}

/// The columns of every statement that answers with tasks, in the order that `Task` reads them.
macro_rules! task_columns {
    () => {
        "id, user_id, title, description, status, priority, due_at, created_at, updated_at"
    };
}
pub(crate) use task_columns;

/// By position and without comparing types for each row, which is what `query_as!` would generate; a
/// derived `FromRow` looks every column up by name.
impl FromRow<'_, PgRow> for Task {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get_unchecked(0)?,
            user_id: row.try_get_unchecked(1)?,
            title: row.try_get_unchecked(2)?,
            description: row.try_get_unchecked(3)?,
            status: row.try_get_unchecked(4)?,
            priority: row.try_get_unchecked(5)?,
            due_at: row.try_get_unchecked(6)?,
            created_at: row.try_get_unchecked(7)?,
            updated_at: row.try_get_unchecked(8)?,
        })
    }
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct TaskListQuery {
    pub status: Option<TaskStatus>,
    #[validate(range(min = 1))]
    pub limit: Option<i64>,
    #[validate(range(min = 0))]
    pub offset: Option<i64>,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct CreateTaskRequest {
    #[validate(length(min = 1, max = 200))]
    pub title: String,
    #[validate(length(max = 2000))]
    pub description: Option<String>,
    pub priority: Option<Priority>,
    #[validate(custom(function = "four_digit_year"))]
    pub due_at: Option<DateTime<Utc>>,
}

/// The outer `Option` says whether a field is given; only those that hold another one take `null`.
#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct UpdateTaskRequest {
    #[serde(default, deserialize_with = "given")]
    #[validate(length(min = 1, max = 200))]
    pub title: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[validate(length(max = 2000))]
    pub description: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    pub status: Option<TaskStatus>,
    #[serde(default, deserialize_with = "given")]
    pub priority: Option<Priority>,
    #[serde(default, deserialize_with = "given")]
    #[validate(custom(function = "four_digit_year"))]
    pub due_at: Option<Option<DateTime<Utc>>>,
}

#[derive(Debug, Serialize, FromRow)]
pub struct User {
    pub id: Uuid,
    pub email: String,
    #[serde(serialize_with = "instant")]
    pub created_at: DateTime<Utc>,
}

#[derive(FromRow)]
pub struct Credentials {
    #[sqlx(flatten)]
    pub user: User,
    pub password_hash: String,
}

#[derive(Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    #[validate(email, length(max = 254))]
    pub email: String,
    #[validate(length(min = 8, max = 128))]
    pub password: String,
}

#[derive(Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    #[validate(length(min = 1, max = 254))]
    pub email: String,
    #[validate(length(min = 1, max = 128))]
    pub password: String,
}

#[derive(Serialize)]
pub struct Session {
    pub token: String,
    #[serde(serialize_with = "instant")]
    pub expires_at: DateTime<Utc>,
    pub user: User,
}

/// Runs only for a field that is present, so `null` reaches `T` instead of meaning "absent".
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// RFC 3339 in UTC with the microseconds that PostgreSQL keeps; chrono's own form drops trailing zeros.
fn instant<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

fn optional_instant<S: Serializer>(
    time: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => instant(time, serializer),
        None => serializer.serialize_none(),
    }
}

/// RFC 3339 has no other years.
fn four_digit_year(time: &DateTime<Utc>) -> Result<(), ValidationError> {
    match time.year() {
        1..=9999 => Ok(()),
        _ => Err(ValidationError::new("year")),
    }
}
