//! Accounts and tasks. Every statement on tasks carries the account's id first, so "not yours" is "not found".

use ntex::http::{Request, StatusCode};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    App,
    batch::run,
    db::Parameter,
    error::{AppError, AppResult},
    http::Reply,
    input::{Credentials, NewTask, Page, Priority, Registration, TaskChanges, read_json},
    operations::{Answer, Delete, Find, Insert, Update, write_task},
    sql::Query,
    values::{Instant, write_instant, write_string, write_uuid},
};

/// What a task takes as JSON, roughly.
const TASK_BYTES: usize = 400;

pub async fn register(app: &App, request: &mut Request) -> AppResult<Reply> {
    let Registration { email, password } = read_json(request).await?;
    let password_hash = app.auth.hash_password(password).await?;
    let id = Uuid::now_v7();
    let parameters: [Parameter; 3] = [&id, &email, &password_hash];
    let rows = app.database.write(Query::InsertUser, &parameters).await?;
    let user = rows.first().ok_or(AppError::Conflict(
        "There is already an account with this e-mail address",
    ))?;
    open_session(app, StatusCode::CREATED, user)
}

pub async fn login(app: &App, request: &mut Request) -> AppResult<Reply> {
    let Credentials { email, password } = read_json(request).await?;
    let rows = app.database.read(Query::FindCredentials, &[&email]).await?;
    let user = rows.first();
    let stored = user.map(|row| row.get(3));
    let matches = app.auth.verify_password(password, stored).await?;
    let user = user
        .filter(|_| matches)
        .ok_or(AppError::Unauthorized("Wrong e-mail address or password"))?;
    open_session(app, StatusCode::OK, user)
}

fn open_session(app: &App, status: StatusCode, user: &Row) -> AppResult<Reply> {
    let id = user.get(0);
    let (token, expires_at) = app.auth.sign(id)?;
    let mut json = Vec::with_capacity(512);
    json.extend_from_slice(b"{\"token\":");
    write_string(&mut json, token.as_bytes());
    json.extend_from_slice(b",\"expires_at\":");
    write_instant(&mut json, Instant::from(expires_at));
    json.extend_from_slice(b",\"user\":{\"id\":");
    write_uuid(&mut json, id);
    json.extend_from_slice(b",\"email\":");
    write_string(&mut json, user.get::<_, &str>(1).as_bytes());
    json.extend_from_slice(b",\"created_at\":");
    write_instant(&mut json, user.get(2));
    json.extend_from_slice(b"}}");
    Ok(Reply::json(status, json))
}

pub async fn list_tasks(app: &App, user_id: Uuid, query: &str) -> AppResult<Reply> {
    let Page {
        status,
        limit,
        offset,
    } = Page::parse(query)?;
    let rows = match status.map(|status| status.text()) {
        None => {
            app.database
                .read(Query::ListTasks, &[&user_id, &limit, &offset])
                .await?
        }
        Some(status) => {
            let parameters: [Parameter; 4] = [&user_id, &status, &limit, &offset];
            app.database
                .read(Query::ListTasksByStatus, &parameters)
                .await?
        }
    };
    let mut json = Vec::with_capacity(rows.len() * TASK_BYTES + 2);
    json.push(b'[');
    for (position, row) in rows.iter().enumerate() {
        if position > 0 {
            json.push(b',');
        }
        write_task(&mut json, row, 0);
    }
    json.push(b']');
    Ok(Reply::json(StatusCode::OK, json))
}

pub async fn create_task(app: &App, user_id: Uuid, request: &mut Request) -> AppResult<Reply> {
    let task: NewTask = read_json(request).await?;
    let insert = Insert {
        user_id,
        id: Uuid::now_v7(),
        title: task.title,
        description: task.description,
        priority: task.priority.unwrap_or(Priority::Medium).text(),
        due_at: task.due_at,
    };
    one_task(StatusCode::CREATED, run(&app.database, insert).await?)
}

pub async fn get_task(app: &App, user_id: Uuid, id: Uuid) -> AppResult<Reply> {
    one_task(
        StatusCode::OK,
        run(&app.database, Find { user_id, id }).await?,
    )
}

pub async fn update_task(
    app: &App,
    user_id: Uuid,
    id: Uuid,
    request: &mut Request,
) -> AppResult<Reply> {
    let changes: TaskChanges = read_json(request).await?;
    let update = Update {
        user_id,
        id,
        title: changes.title,
        description_given: changes.description.is_some(),
        description: changes.description.flatten(),
        status: changes.status.map(|status| status.text()),
        priority: changes.priority.map(|priority| priority.text()),
        due_at_given: changes.due_at.is_some(),
        due_at: changes.due_at.flatten(),
    };
    one_task(StatusCode::OK, run(&app.database, update).await?)
}

pub async fn delete_task(app: &App, user_id: Uuid, id: Uuid) -> AppResult<Reply> {
    match run(&app.database, Delete { user_id, id }).await? {
        Some(_) => Ok(Reply::empty(StatusCode::NO_CONTENT)),
        None => Err(AppError::NotFound("task")),
    }
}

fn one_task(status: StatusCode, answer: Answer) -> AppResult<Reply> {
    let json = answer.ok_or(AppError::NotFound("task"))?;
    Ok(Reply::json(status, json))
}
