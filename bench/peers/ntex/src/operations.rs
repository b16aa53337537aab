//! What can be asked of the tasks, as values that can wait in a queue.

use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use crate::{
    batch::{Lane, Lanes},
    db::Parameter,
    sql::Query,
    values::{Instant, Raw, Text, write_instant, write_string, write_uuid},
};

/// The JSON of a task; of a deleted one, nothing. `None` when there is no such task.
pub type Answer = Option<Vec<u8>>;
pub type Column<'a> = Box<dyn ToSql + Sync + 'a>;

pub trait Operation: Sized + 'static {
    /// The statement for one call, and the one for many.
    const ONE: Query;
    const MANY: Query;
    const WRITES: bool;

    fn parameters(&self) -> Vec<Parameter<'_>>;

    /// One array for each parameter.
    fn columns<'a>(calls: &[&'a Self]) -> Vec<Column<'a>>;

    /// The row that the call changes. Two changes of one row never share a batch.
    fn changes(&self) -> Option<(Uuid, Uuid)> {
        None
    }

    /// The answer whose columns begin with `first`.
    fn answer(row: &Row, first: usize) -> Answer {
        let mut json = Vec::with_capacity(512);
        write_task(&mut json, row, first).then_some(json)
    }

    fn lane(lanes: &Lanes) -> &Lane<Self>;
}

pub struct Find {
    pub user_id: Uuid,
    pub id: Uuid,
}

impl Operation for Find {
    const ONE: Query = Query::FindTask;
    const MANY: Query = Query::FindTasks;
    const WRITES: bool = false;

    fn parameters(&self) -> Vec<Parameter<'_>> {
        vec![&self.user_id, &self.id]
    }

    fn columns<'a>(calls: &[&'a Self]) -> Vec<Column<'a>> {
        vec![
            column(calls, |call| call.user_id),
            column(calls, |call| call.id),
        ]
    }

    fn lane(lanes: &Lanes) -> &Lane<Self> {
        &lanes.find
    }
}

pub struct Insert {
    pub user_id: Uuid,
    pub id: Uuid,
    pub title: String,
    pub description: Option<String>,
    pub priority: Text<'static>,
    pub due_at: Option<Instant>,
}

impl Operation for Insert {
    const ONE: Query = Query::InsertTask;
    const MANY: Query = Query::InsertTasks;
    const WRITES: bool = true;

    fn parameters(&self) -> Vec<Parameter<'_>> {
        vec![
            &self.user_id,
            &self.id,
            &self.title,
            &self.description,
            &self.priority,
            &self.due_at,
        ]
    }

    fn columns<'a>(calls: &[&'a Self]) -> Vec<Column<'a>> {
        vec![
            column(calls, |call| call.user_id),
            column(calls, |call| call.id),
            column(calls, |call| call.title.as_str()),
            column(calls, |call| call.description.as_deref()),
            column(calls, |call| call.priority),
            column(calls, |call| call.due_at),
        ]
    }

    fn lane(lanes: &Lanes) -> &Lane<Self> {
        &lanes.insert
    }
}

/// `None` leaves a field as it is, or clears it where its flag says that it was given.
pub struct Update {
    pub user_id: Uuid,
    pub id: Uuid,
    pub title: Option<String>,
    pub description_given: bool,
    pub description: Option<String>,
    pub status: Option<Text<'static>>,
    pub priority: Option<Text<'static>>,
    pub due_at_given: bool,
    pub due_at: Option<Instant>,
}

impl Operation for Update {
    const ONE: Query = Query::UpdateTask;
    const MANY: Query = Query::UpdateTasks;
    const WRITES: bool = true;

    fn parameters(&self) -> Vec<Parameter<'_>> {
        vec![
            &self.user_id,
            &self.id,
            &self.title,
            &self.description_given,
            &self.description,
            &self.status,
            &self.priority,
            &self.due_at_given,
            &self.due_at,
        ]
    }

    fn columns<'a>(calls: &[&'a Self]) -> Vec<Column<'a>> {
        vec![
            column(calls, |call| call.user_id),
            column(calls, |call| call.id),
            column(calls, |call| call.title.as_deref()),
            column(calls, |call| call.description_given),
            column(calls, |call| call.description.as_deref()),
            column(calls, |call| call.status),
            column(calls, |call| call.priority),
            column(calls, |call| call.due_at_given),
            column(calls, |call| call.due_at),
        ]
    }

    fn changes(&self) -> Option<(Uuid, Uuid)> {
        Some((self.user_id, self.id))
    }

    fn lane(lanes: &Lanes) -> &Lane<Self> {
        &lanes.update
    }
}

pub struct Delete {
    pub user_id: Uuid,
    pub id: Uuid,
}

impl Operation for Delete {
    const ONE: Query = Query::DeleteTask;
    const MANY: Query = Query::DeleteTasks;
    const WRITES: bool = true;

    fn parameters(&self) -> Vec<Parameter<'_>> {
        vec![&self.user_id, &self.id]
    }

    fn columns<'a>(calls: &[&'a Self]) -> Vec<Column<'a>> {
        vec![
            column(calls, |call| call.user_id),
            column(calls, |call| call.id),
        ]
    }

    fn changes(&self) -> Option<(Uuid, Uuid)> {
        Some((self.user_id, self.id))
    }

    fn answer(row: &Row, first: usize) -> Answer {
        row.get::<_, Option<Uuid>>(first).map(|_| Vec::new())
    }

    fn lane(lanes: &Lanes) -> &Lane<Self> {
        &lanes.delete
    }
}

fn column<'a, O, T: ToSql + Sync + 'a>(calls: &[&'a O], pick: fn(&'a O) -> T) -> Column<'a> {
    Box::new(calls.iter().copied().map(pick).collect::<Vec<T>>())
}

/// Writes the task whose columns begin with `first`. False, and nothing written, when the row has none.
pub fn write_task(out: &mut Vec<u8>, row: &Row, first: usize) -> bool {
    let Some(id) = row.get::<_, Option<Uuid>>(first) else {
        return false;
    };
    let text = |column: usize| row.get::<_, Option<Raw>>(first + column);
    let instant = |column: usize| row.get::<_, Option<Instant>>(first + column);
    out.extend_from_slice(b"{\"id\":");
    write_uuid(out, id);
    out.extend_from_slice(b",\"user_id\":");
    write_uuid(out, row.get(first + 1));
    out.extend_from_slice(b",\"title\":");
    write_or_null(out, text(2), |out, Raw(bytes)| write_string(out, bytes));
    out.extend_from_slice(b",\"description\":");
    write_or_null(out, text(3), |out, Raw(bytes)| write_string(out, bytes));
    out.extend_from_slice(b",\"status\":");
    write_or_null(out, text(4), |out, Raw(bytes)| write_string(out, bytes));
    out.extend_from_slice(b",\"priority\":");
    write_or_null(out, text(5), |out, Raw(bytes)| write_string(out, bytes));
    out.extend_from_slice(b",\"due_at\":");
    write_or_null(out, instant(6), write_instant);
    out.extend_from_slice(b",\"created_at\":");
    write_or_null(out, instant(7), write_instant);
    out.extend_from_slice(b",\"updated_at\":");
    write_or_null(out, instant(8), write_instant);
    out.push(b'}');
    true
}

fn write_or_null<T>(out: &mut Vec<u8>, value: Option<T>, write: impl Fn(&mut Vec<u8>, T)) {
    match value {
        Some(value) => write(out, value),
        None => out.extend_from_slice(b"null"),
    }
}
