//! The tasks of the account that the token names. Every statement carries its id first, so "not yours" is "not found".

use axum::{Json, extract::State, http::StatusCode};
use uuid::Uuid;

use crate::{
    auth::Claims,
    error::{AppError, AppResult},
    extract::{Path, ValidJson, ValidQuery},
    models::{CreateTaskRequest, Priority, Task, TaskListQuery, UpdateTaskRequest, task_columns},
    state::AppState,
};

const LIMIT_DEFAULT: i64 = 50;
const LIMIT_MAX: i64 = 100;

const LIST: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM tasks WHERE user_id = $1
      ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3"
);

const LIST_BY_STATUS: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM tasks WHERE user_id = $1 AND status = $2
      ORDER BY created_at DESC, id DESC LIMIT $3 OFFSET $4"
);

const CREATE: &str = concat!(
    "INSERT INTO tasks (user_id, id, title, description, priority, due_at)
     VALUES ($1, $2, $3, $4, $5, $6) RETURNING ",
    task_columns!()
);

const GET: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM tasks WHERE user_id = $1 AND id = $2"
);

const UPDATE: &str = concat!(
    "UPDATE tasks SET
       title = coalesce($3, title),
       description = CASE WHEN $4 THEN $5 ELSE description END,
       status = coalesce($6, status),
       priority = coalesce($7, priority),
       due_at = CASE WHEN $8 THEN $9 ELSE due_at END
     WHERE user_id = $1 AND id = $2 RETURNING ",
    task_columns!()
);

const DELETE: &str = "DELETE FROM tasks WHERE user_id = $1 AND id = $2";

const NO_TASK: AppError = AppError::NotFound("task");

#[tracing::instrument(level = "debug", skip_all, fields(user_id = %claims.sub))]
pub async fn list_tasks(
    State(state): State<AppState>,
    claims: Claims,
    ValidQuery(query): ValidQuery<TaskListQuery>,
) -> AppResult<Json<Vec<Task>>> {
    let statement = match query.status {
        Some(status) => sqlx::query_as::<_, Task>(LIST_BY_STATUS)
            .bind(claims.sub)
            .bind(status),
        None => sqlx::query_as::<_, Task>(LIST).bind(claims.sub),
    };
    let tasks = statement
        .bind(query.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX))
        .bind(query.offset.unwrap_or(0))
        .fetch_all(&state.db)
        .await?;
    Ok(Json(tasks))
}

#[tracing::instrument(level = "debug", skip_all, fields(user_id = %claims.sub))]
pub async fn create_task(
    State(state): State<AppState>,
    claims: Claims,
    ValidJson(request): ValidJson<CreateTaskRequest>,
) -> AppResult<(StatusCode, Json<Task>)> {
    let task = sqlx::query_as::<_, Task>(CREATE)
        .bind(claims.sub)
        .bind(Uuid::now_v7())
        .bind(request.title)
        .bind(request.description)
        .bind(request.priority.unwrap_or(Priority::Medium))
        .bind(request.due_at)
        .fetch_one(&state.db)
        .await?;
    tracing::debug!(task_id = %task.id, "task created");
    Ok((StatusCode::CREATED, Json(task)))
}

#[tracing::instrument(level = "debug", skip_all, fields(user_id = %claims.sub))]
pub async fn get_task(
    State(state): State<AppState>,
    claims: Claims,
    Path(id): Path<Uuid>,
) -> AppResult<Json<Task>> {
    let task = sqlx::query_as::<_, Task>(GET)
        .bind(claims.sub)
        .bind(id)
        .fetch_optional(&state.db)
        .await?;
    task.map(Json).ok_or(NO_TASK)
}

#[tracing::instrument(level = "debug", skip_all, fields(user_id = %claims.sub))]
pub async fn update_task(
    State(state): State<AppState>,
    claims: Claims,
    Path(id): Path<Uuid>,
    ValidJson(request): ValidJson<UpdateTaskRequest>,
) -> AppResult<Json<Task>> {
    let task = sqlx::query_as::<_, Task>(UPDATE)
        .bind(claims.sub)
        .bind(id)
        .bind(request.title)
        .bind(request.description.is_some())
        .bind(request.description.flatten())
        .bind(request.status)
        .bind(request.priority)
        .bind(request.due_at.is_some())
        .bind(request.due_at.flatten())
        .fetch_optional(&state.db)
        .await?;
    task.map(Json).ok_or(NO_TASK)
}

#[tracing::instrument(level = "debug", skip_all, fields(user_id = %claims.sub))]
pub async fn delete_task(
    State(state): State<AppState>,
    claims: Claims,
    Path(id): Path<Uuid>,
) -> AppResult<StatusCode> {
    let done = sqlx::query(DELETE)
        .bind(claims.sub)
        .bind(id)
        .execute(&state.db)
        .await?;
    if done.rows_affected() == 0 {
        Err(NO_TASK)
    } else {
        Ok(StatusCode::NO_CONTENT)
    }
}
