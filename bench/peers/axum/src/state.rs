//! What every handler can reach.

use std::sync::Arc;

use sqlx::PgPool;

use crate::auth::Auth;

#[derive(Clone)]
pub struct AppState {
    pub db: PgPool,
    pub auth: Arc<Auth>,
}
