//! Tokens and passwords.

use std::cell::{Cell, RefCell};

use anyhow::anyhow;
use argon2::{
    Argon2, PasswordHash, PasswordHasher, PasswordVerifier,
    password_hash::{self, SaltString, rand_core::OsRng},
};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ntex::{rt::spawn_blocking, util::HashMap};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::error::{AppError, AppResult};

const TOKEN_LIFE: TimeDelta = TimeDelta::hours(24);
/// Verified tokens that are remembered; when there are more, all are forgotten.
const REMEMBERED_MAX: usize = 10_000;
/// Passwords that may wait for a thread; more are turned away.
const WAITING_MAX: usize = 256;

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: Uuid,
    iat: i64,
    exp: i64,
}

/// Keys and rules, made once for each worker.
pub struct Auth {
    encoding_key: EncodingKey,
    decoding_key: DecodingKey,
    validation: Validation,
    /// The account and the expiry of tokens whose signature was right.
    verified: RefCell<HashMap<String, (Uuid, i64)>>,
    threads: Semaphore,
    waiting: Cell<usize>,
    /// Verified for accounts that do not exist, so that they take as long as those that do.
    decoy_hash: String,
}

impl Auth {
    pub fn new(secret: &str, hash_threads: usize) -> anyhow::Result<Self> {
        Ok(Self {
            encoding_key: EncodingKey::from_secret(secret.as_bytes()),
            decoding_key: DecodingKey::from_secret(secret.as_bytes()),
            validation: Validation::new(Algorithm::HS256),
            verified: RefCell::default(),
            threads: Semaphore::new(hash_threads),
            waiting: Cell::new(0),
            decoy_hash: hash(SaltString::generate(&mut OsRng).as_str())?,
        })
    }

    /// A token for the account, and when it expires.
    pub fn sign(&self, user_id: Uuid) -> AppResult<(String, DateTime<Utc>)> {
        let now = Utc::now().trunc_subsecs(0);
        let expires_at = now + TOKEN_LIFE;
        let claims = Claims {
            sub: user_id,
            iat: now.timestamp(),
            exp: expires_at.timestamp(),
        };
        let header = Header::new(Algorithm::HS256);
        let token = jsonwebtoken::encode(&header, &claims, &self.encoding_key);
        Ok((token.map_err(anyhow::Error::from)?, expires_at))
    }

    /// The account of an `Authorization` header.
    pub fn verify(&self, header: Option<&str>) -> AppResult<Uuid> {
        let token = header
            .and_then(bearer)
            .ok_or(AppError::Unauthorized("A bearer token is required"))?;
        let known = self.verified.borrow().get(token).copied();
        match known {
            Some((user_id, exp)) if exp > Utc::now().timestamp() => Ok(user_id),
            _ => self.verify_signature(token),
        }
    }

    fn verify_signature(&self, token: &str) -> AppResult<Uuid> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding_key, &self.validation)
            .map_err(|_| AppError::Unauthorized("The token is not valid or has expired"))?
            .claims;
        let mut verified = self.verified.borrow_mut();
        if verified.len() >= REMEMBERED_MAX {
            verified.clear();
        }
        verified.insert(token.to_owned(), (claims.sub, claims.exp));
        Ok(claims.sub)
    }

    /// A PHC string.
    pub async fn hash_password(&self, password: String) -> AppResult<String> {
        self.on_hash_thread(move || hash(&password)).await
    }

    /// False also for an unknown account (`stored` is `None`), after the same work.
    pub async fn verify_password(
        &self,
        password: String,
        stored: Option<String>,
    ) -> AppResult<bool> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy_hash.clone());
        let matches = self
            .on_hash_thread(move || verify(&password, &stored))
            .await?;
        Ok(matches && known)
    }

    /// Runs off the thread that serves requests, once one of the few places is free.
    async fn on_hash_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> AppResult<T> {
        let _place = Place::take(&self.waiting)?;
        let _permit = self.threads.acquire().await.map_err(anyhow::Error::from)?;
        let result = spawn_blocking(work).await.map_err(anyhow::Error::from)?;
        Ok(result?)
    }
}

/// One of the passwords that are being hashed or wait for it, also when its request is given up.
struct Place<'a>(&'a Cell<usize>);

impl<'a> Place<'a> {
    fn take(count: &'a Cell<usize>) -> AppResult<Self> {
        if count.get() >= WAITING_MAX {
            return Err(AppError::Unavailable(
                "Too many passwords are being checked",
            ));
        }
        count.set(count.get() + 1);
        Ok(Self(count))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
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
