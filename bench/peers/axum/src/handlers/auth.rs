//! Accounts: register and login.

use axum::{Json, extract::State, http::StatusCode};
use uuid::Uuid;

use crate::{
    auth::hash_password,
    error::{AppError, AppResult},
    extract::ValidJson,
    models::{Credentials, LoginRequest, RegisterRequest, Session, User},
    state::AppState,
};

#[tracing::instrument(level = "debug", skip_all)]
pub async fn register(
    State(state): State<AppState>,
    ValidJson(request): ValidJson<RegisterRequest>,
) -> AppResult<(StatusCode, Json<Session>)> {
    let password_hash = hash_password(request.password).await?;
    let user = sqlx::query_as::<_, User>(
        "INSERT INTO users (id, email, password_hash) VALUES ($1, $2, $3)
         ON CONFLICT DO NOTHING
         RETURNING id, email, created_at",
    )
    .bind(Uuid::now_v7())
    .bind(request.email)
    .bind(password_hash)
    .fetch_optional(&state.db)
    .await?
    .ok_or(AppError::Conflict(
        "There is already an account with this e-mail address",
    ))?;
    Ok((StatusCode::CREATED, Json(open_session(&state, user)?)))
}

#[tracing::instrument(level = "debug", skip_all)]
pub async fn login(
    State(state): State<AppState>,
    ValidJson(request): ValidJson<LoginRequest>,
) -> AppResult<Json<Session>> {
    let found = sqlx::query_as::<_, Credentials>(
        "SELECT id, email, created_at, password_hash FROM users
         WHERE lower(email COLLATE \"C\") = lower($1 COLLATE \"C\")",
    )
    .bind(request.email)
    .fetch_optional(&state.db)
    .await?;
    let (user, stored) = found.map(|found| (found.user, found.password_hash)).unzip();
    let matches = state.auth.verify_password(request.password, stored).await?;
    let user = user
        .filter(|_| matches)
        .ok_or(AppError::Unauthorized("Wrong e-mail address or password"))?;
    Ok(Json(open_session(&state, user)?))
}

fn open_session(state: &AppState, user: User) -> AppResult<Session> {
    let (token, expires_at) = state.auth.sign(user.id)?;
    Ok(Session {
        token,
        expires_at,
        user,
    })
}
