//! From a request to its answer: the route, the account, the headers that all answers have.

use std::{io, io::Write, rc::Rc};

use flate2::{Compression, write::GzEncoder};
use ntex::{
    http::{
        Method, Request, Response, ResponseBuilder, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    time::{Seconds, timeout},
};
use uuid::Uuid;

use crate::{
    App,
    error::{AppError, AppResult},
    handlers,
    input::parse_id,
    values::write_string,
};

/// Longest time until a request is answered.
const DEADLINE: Seconds = Seconds(10);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_LENGTH_MAX: usize = 128;
/// Shorter bodies are not worth compressing.
const GZIP_BYTES_MIN: usize = 1024;

pub struct Reply {
    status: StatusCode,
    json: Vec<u8>,
}

impl Reply {
    pub fn json(status: StatusCode, json: Vec<u8>) -> Self {
        Self { status, json }
    }

    pub fn empty(status: StatusCode) -> Self {
        Self::json(status, Vec::new())
    }
}

pub async fn serve(app: Rc<App>, mut request: Request) -> io::Result<Response> {
    let request_id = request_id(&request);
    if request.method() == Method::OPTIONS {
        return Ok(preflight(request_id));
    }
    let result = if request.path() == "/health" {
        health(&request)
    } else {
        let late = Err(AppError::Unavailable("The request took too long"));
        timeout(DEADLINE, route(&app, &mut request))
            .await
            .unwrap_or(late)
    };
    let reply = result.unwrap_or_else(|error| refuse(&error, &request_id));
    let gzip = reply.json.len() >= GZIP_BYTES_MIN && accepts_gzip(&request);
    write(reply, request_id, gzip)
}

async fn route(app: &App, request: &mut Request) -> AppResult<Reply> {
    let path = request.path().strip_prefix("/api/v1/").unwrap_or_default();
    match path {
        "auth/register" => {
            allow(request, &[Method::POST])?;
            handlers::register(app, request).await
        }
        "auth/login" => {
            allow(request, &[Method::POST])?;
            handlers::login(app, request).await
        }
        "tasks" => route_tasks(app, request).await,
        _ => match path.strip_prefix("tasks/").map(str::to_owned) {
            Some(id) if !id.contains('/') => route_task(app, request, &id).await,
            _ => Err(AppError::NotFound("path")),
        },
    }
}

async fn route_tasks(app: &App, request: &mut Request) -> AppResult<Reply> {
    allow(request, &[Method::GET, Method::POST])?;
    let user_id = authenticate(app, request)?;
    if request.method() == Method::POST {
        return handlers::create_task(app, user_id, request).await;
    }
    let query = request.uri().query().unwrap_or_default();
    handlers::list_tasks(app, user_id, query).await
}

async fn route_task(app: &App, request: &mut Request, id: &str) -> AppResult<Reply> {
    allow(request, &[Method::GET, Method::PATCH, Method::DELETE])?;
    let user_id = authenticate(app, request)?;
    let id = parse_id(id)?;
    if request.method() == Method::PATCH {
        return handlers::update_task(app, user_id, id, request).await;
    }
    if request.method() == Method::DELETE {
        return handlers::delete_task(app, user_id, id).await;
    }
    handlers::get_task(app, user_id, id).await
}

fn health(request: &Request) -> AppResult<Reply> {
    allow(request, &[Method::GET])?;
    let health = Health { status: "ok" };
    let json = serde_json::to_vec(&health).map_err(anyhow::Error::from)?;
    Ok(Reply::json(StatusCode::OK, json))
}

#[derive(serde::Serialize)]
struct Health {
    status: &'static str,
}

fn allow(request: &Request, methods: &[Method]) -> AppResult<()> {
    if methods.contains(request.method()) {
        Ok(())
    } else {
        Err(AppError::MethodNotAllowed)
    }
}

fn authenticate(app: &App, request: &Request) -> AppResult<Uuid> {
    let header = request.headers().get(header::AUTHORIZATION);
    app.auth
        .verify(header.and_then(|value| value.to_str().ok()))
}

fn refuse(error: &AppError, request_id: &HeaderValue) -> Reply {
    if error.status().is_server_error() {
        eprintln!("request {request_id:?}: {}", error.cause());
    }
    let mut json = b"{\"error\":".to_vec();
    write_string(&mut json, error.message().as_bytes());
    json.push(b'}');
    Reply::json(error.status(), json)
}

/// The client's own, if it is printable and of a sensible length.
fn request_id(request: &Request) -> HeaderValue {
    let own = request.headers().get(REQUEST_ID).filter(|value| {
        (1..=REQUEST_ID_LENGTH_MAX).contains(&value.len())
            && value.as_bytes().iter().all(u8::is_ascii_graphic)
    });
    own.cloned().unwrap_or_else(new_request_id)
}

fn new_request_id() -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let text: &str = Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
    HeaderValue::from_str(text).expect("a UUID is a header value")
}

fn accepts_gzip(request: &Request) -> bool {
    let accepted = request.headers().get(header::ACCEPT_ENCODING);
    let accepted = accepted
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim() == "gzip" && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

fn write(
    Reply { status, json }: Reply,
    request_id: HeaderValue,
    gzip: bool,
) -> io::Result<Response> {
    let mut response = begin(status, request_id);
    if json.is_empty() {
        return Ok(response.finish());
    }
    response.header(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if !gzip {
        return Ok(response.body(json));
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&json)?;
    response
        .header(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))
        .header(header::VARY, HeaderValue::from_static("accept-encoding"));
    Ok(response.body(encoder.finish()?))
}

fn preflight(request_id: HeaderValue) -> Response {
    begin(StatusCode::NO_CONTENT, request_id)
        .header(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, PATCH, DELETE"),
        )
        .header(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, content-type, x-request-id"),
        )
        .finish()
}

fn begin(status: StatusCode, request_id: HeaderValue) -> ResponseBuilder {
    let mut response = Response::build(status);
    response.header(REQUEST_ID, request_id).header(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    response
}
