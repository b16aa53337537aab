//! Tokens and passwords.

use anyhow::anyhow;
use argon2::{
    Argon2, PasswordHash, PasswordHasher, PasswordVerifier,
    password_hash::{self, SaltString, rand_core::OsRng},
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::{
    error::{AppError, AppResult},
    state::AppState,
};

#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The account.
    pub sub: Uuid,
    iat: i64,
    exp: i64,
}

/// Keys and rules, made once.
pub struct Auth {
    encoding_key: EncodingKey,
    decoding_key: DecodingKey,
    header: Header,
    validation: Validation,
    token_life: TimeDelta,
    /// Verified for accounts that do not exist, so that they take as long as those that do.
    decoy_hash: String,
}

impl Auth {
    pub fn new(secret: &str, expiration_hours: u32) -> anyhow::Result<Self> {
        Ok(Self {
            encoding_key: EncodingKey::from_secret(secret.as_bytes()),
            decoding_key: DecodingKey::from_secret(secret.as_bytes()),
            header: Header::new(Algorithm::HS256),
            validation: Validation::new(Algorithm::HS256),
            token_life: TimeDelta::hours(expiration_hours.into()),
            decoy_hash: hash(SaltString::generate(&mut OsRng).as_str())?,
        })
    }

    /// A token for the account, and when it expires.
    pub fn sign(&self, user_id: Uuid) -> anyhow::Result<(String, DateTime<Utc>)> {
        let now = Utc::now().trunc_subsecs(0);
        let expires_at = now + self.token_life;
        let claims = Claims {
            sub: user_id,
            iat: now.timestamp(),
            exp: expires_at.timestamp(),
        };
        let token = jsonwebtoken::encode(&self.header, &claims, &self.encoding_key)?;
        Ok((token, expires_at))
    }

    fn verify(&self, token: &str) -> AppResult<Claims> {
        jsonwebtoken::decode(token, &self.decoding_key, &self.validation)
            .map(|data| data.claims)
            .map_err(|_| AppError::Unauthorized("The token is not valid or has expired"))
    }

    /// False also for an unknown account (`stored` is `None`), after the same work.
    pub async fn verify_password(
        &self,
        password: String,
        stored: Option<String>,
    ) -> AppResult<bool> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy_hash.clone());
        let matches = spawn_blocking(move || verify(&password, &stored))
            .await
            .map_err(anyhow::Error::from)??;
        Ok(matches && known)
    }
}

impl FromRequestParts<AppState> for Claims {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let token =
            bearer(&parts.headers).ok_or(AppError::Unauthorized("A bearer token is required"))?;
        state.auth.verify(token)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}

/// A PHC string, made off the threads that serve requests.
pub async fn hash_password(password: String) -> AppResult<String> {
    Ok(spawn_blocking(move || hash(&password))
        .await
        .map_err(anyhow::Error::from)??)
}

/// The crate's defaults are Argon2id with OWASP's costs: m=19456 (KiB), t=2, p=1.
fn hash(password: &str) -> anyhow::Result<String> {
    let salt = SaltString::generate(&mut OsRng);
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(hash_failed)?.to_string())
}

fn verify(password: &str, stored: &str) -> anyhow::Result<bool> {
    let stored = PasswordHash::new(stored).map_err(hash_failed)?;
    match Argon2::default().verify_password(password.as_bytes(), &stored) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::Password) => Ok(false),
        Err(error) => Err(hash_failed(error)),
    }
}

fn hash_failed(error: password_hash::Error) -> anyhow::Error {
    anyhow!("password hash: {error}")
}
