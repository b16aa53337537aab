//! What clients send, and the rules for it.

use ntex::http::{Request, header::CONTENT_TYPE};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    error::{AppError, AppResult},
    values::{Instant, Text},
};

const BODY_BYTES_MAX: usize = 64 * 1024;
const LIMIT_DEFAULT: i64 = 50;
const LIMIT_MAX: i64 = 100;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    Todo,
    InProgress,
    Done,
    Cancelled,
}

impl TaskStatus {
    pub fn text(self) -> Text<'static> {
        Text(match self {
            Self::Todo => "todo",
            Self::InProgress => "in_progress",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        })
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Low,
    Medium,
    High,
    Critical,
}

impl Priority {
    pub fn text(self) -> Text<'static> {
        Text(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// What a body must keep to beside its shape.
pub trait Rules {
    /// The rule that is broken. Never a value: one of them may be a password.
    fn broken(&self) -> Option<&'static str>;
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    pub title: String,
    pub description: Option<String>,
    pub priority: Option<Priority>,
    #[serde(default, deserialize_with = "optional_instant")]
    pub due_at: Option<Instant>,
}

impl Rules for NewTask {
    fn broken(&self) -> Option<&'static str> {
        broken_title(Some(&self.title)).or(broken_description(self.description.as_deref()))
    }
}

/// The outer `Option` says whether a field is given; only those that hold another one take `null`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskChanges {
    #[serde(default, deserialize_with = "given")]
    pub title: Option<String>,
    #[serde(default, deserialize_with = "given")]
    pub description: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    pub status: Option<TaskStatus>,
    #[serde(default, deserialize_with = "given")]
    pub priority: Option<Priority>,
    #[serde(default, deserialize_with = "given_instant")]
    pub due_at: Option<Option<Instant>>,
}

impl Rules for TaskChanges {
    fn broken(&self) -> Option<&'static str> {
        let fields = [
            self.title.is_some(),
            self.description.is_some(),
            self.status.is_some(),
            self.priority.is_some(),
            self.due_at.is_some(),
        ];
        if !fields.contains(&true) {
            return Some("there must be a field");
        }
        let description = self.description.as_ref().and_then(Option::as_deref);
        broken_title(self.title.as_deref()).or(broken_description(description))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    pub email: String,
    pub password: String,
}

impl Rules for Registration {
    fn broken(&self) -> Option<&'static str> {
        if !is_email(&self.email) || self.email.len() > 254 {
            return Some("email must be an e-mail address");
        }
        let length = self.password.chars().count();
        (!(8..=128).contains(&length)).then_some("password must have 8 to 128 characters")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    pub email: String,
    pub password: String,
}

impl Rules for Credentials {
    fn broken(&self) -> Option<&'static str> {
        if !(1..=254).contains(&self.email.chars().count()) {
            return Some("email must have 1 to 254 characters");
        }
        let length = self.password.chars().count();
        (!(1..=128).contains(&length)).then_some("password must have 1 to 128 characters")
    }
}

pub struct Page {
    pub status: Option<TaskStatus>,
    pub limit: i64,
    pub offset: i64,
}

impl Page {
    pub fn parse(query: &str) -> AppResult<Self> {
        let mut page = Self {
            status: None,
            limit: LIMIT_DEFAULT,
            offset: 0,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "status" => page.status = Some(parse_status(value)?),
                "limit" => page.limit = parse_number(value, 1, "limit")?.min(LIMIT_MAX),
                "offset" => page.offset = parse_number(value, 0, "offset")?,
                _ => return Err(invalid("the query has an unknown name")),
            }
        }
        Ok(page)
    }
}

fn parse_status(value: &str) -> AppResult<TaskStatus> {
    let value = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(value);
    TaskStatus::deserialize(value).map_err(|_| invalid("status is none that a task can have"))
}

fn parse_number(value: &str, min: i64, name: &str) -> AppResult<i64> {
    let number = value.parse::<i64>().ok().filter(|number| *number >= min);
    number.ok_or_else(|| invalid(&format!("{name} must be an integer of at least {min}")))
}

pub fn parse_id(text: &str) -> AppResult<Uuid> {
    // Other lengths are other spellings of a UUID.
    let id = (text.len() == 36)
        .then(|| Uuid::try_parse(text).ok())
        .flatten();
    id.ok_or_else(|| invalid("the id must be a UUID"))
}

pub async fn read_json<T: DeserializeOwned + Rules>(request: &mut Request) -> AppResult<T> {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .map(|value| value.as_bytes());
    if !content_type.is_some_and(|value| value.starts_with(b"application/json")) {
        return Err(invalid("the body must be application/json"));
    }
    let body = read_body(request).await?;
    let value: T = serde_json::from_slice(&body).map_err(|error| invalid(&error.to_string()))?;
    match value.broken() {
        Some(rule) => Err(invalid(rule)),
        None => Ok(value),
    }
}

async fn read_body(request: &mut Request) -> AppResult<Vec<u8>> {
    let mut payload = request.take_payload();
    let mut body = Vec::new();
    while let Some(chunk) = payload.recv().await {
        let chunk = chunk.map_err(|_| invalid("the body is incomplete"))?;
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(AppError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn invalid(rule: &str) -> AppError {
    AppError::BadRequest(format!("Invalid: {rule}"))
}

fn broken_title(title: Option<&str>) -> Option<&'static str> {
    let length = title?.chars().count();
    (!(1..=200).contains(&length)).then_some("title must have 1 to 200 characters")
}

fn broken_description(description: Option<&str>) -> Option<&'static str> {
    (description?.chars().count() > 2000).then_some("description must have at most 2000 characters")
}

/// One `@` between a name and a domain with a dot, and nothing that no address has.
fn is_email(text: &str) -> bool {
    let Some((name, domain)) = text.split_once('@') else {
        return false;
    };
    let is_plain = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'@')
    };
    !name.is_empty()
        && is_plain(name)
        && is_plain(domain)
        && domain.split('.').count() > 1
        && domain.split('.').all(|label| !label.is_empty())
}

/// Runs only for a field that is present, so `null` reaches `T` instead of meaning "absent".
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn given_instant<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<Instant>>, D::Error> {
    optional_instant(deserializer).map(Some)
}

fn optional_instant<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Instant>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let instant = Instant::parse(&text);
    let instant = instant.ok_or_else(|| serde::de::Error::custom("expected an RFC 3339 date-time"));
    instant.map(Some)
}
