//! The batches of taskapi in Rust: calls of one operation that wait at the same time become one statement over arrays.
//!
//! There is no timer. A call that finds nothing of its operation in flight goes out at once; while a batch is in flight
//! the next one fills. A write is acknowledged after the commit of its batch.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use futures_util::future::join_all;
use ntex::{channel::oneshot, rt::spawn, util::HashSet};
use tokio::task::yield_now;

use crate::{
    db::{Database, Parameter},
    error::{AppError, AppResult},
    operations::{Answer, Delete, Find, Insert, Operation, Update},
};

/// Calls in a batch.
const CALLS_MAX: usize = 128;
/// Calls of one operation that may wait.
const WAITING_MAX: usize = 4096;
/// A batch that takes longer, because of a lock perhaps, is not waited for.
const SLOW: Duration = Duration::from_millis(25);
/// Batches of one operation in flight when some are slow.
const BATCHES_MAX: usize = 4;

/// The operations that have batches. Lists have none.
#[derive(Default)]
pub struct Lanes {
    pub find: Lane<Find>,
    pub insert: Lane<Insert>,
    pub update: Lane<Update>,
    pub delete: Lane<Delete>,
    last_number: Cell<i32>,
}

impl Lanes {
    /// Numbers that no other calls in flight have.
    fn take_numbers(&self, count: usize) -> Vec<i32> {
        let count = count as i32;
        let first = self
            .last_number
            .get()
            .checked_add(count)
            .map_or(1, |last| last - count + 1);
        self.last_number.set(first + count - 1);
        (first..first + count).collect()
    }
}

/// The calls of one operation.
pub struct Lane<O> {
    waiting: RefCell<VecDeque<Call<O>>>,
    in_flight: Cell<usize>,
    last_size: Cell<usize>,
    scheduled: Cell<bool>,
    sent_at: Cell<Option<Instant>>,
}

struct Call<O> {
    operation: O,
    reply: oneshot::Sender<AppResult<Answer>>,
}

/// Runs the call, in a batch where there are batches.
pub async fn run<O: Operation>(database: &Rc<Database>, operation: O) -> AppResult<Answer> {
    let Some(lanes) = &database.lanes else {
        return database.run_one(&operation).await;
    };
    let lane = O::lane(lanes);
    if lane.waiting.borrow().len() >= WAITING_MAX {
        return Err(AppError::Unavailable("Too many calls wait"));
    }
    let (reply, answer) = oneshot::channel();
    lane.waiting
        .borrow_mut()
        .push_back(Call { operation, reply });
    schedule(database, lane);
    answer.await.map_err(|_| anyhow!("a call has no answer"))?
}

/// Sends now if the last batch was a single call; else once all calls are there that one poll of the sockets brings.
fn schedule<O: Operation>(database: &Rc<Database>, lane: &Lane<O>) {
    if lane.scheduled.get() || !lane.may_send() {
        return;
    }
    if lane.last_size.get() <= 1 {
        return send(database, lane);
    }
    lane.scheduled.set(true);
    let database = database.clone();
    spawn(async move {
        yield_now().await;
        if let Some(lanes) = &database.lanes {
            let lane = O::lane(lanes);
            lane.scheduled.set(false);
            send(&database, lane);
        }
    })
    .detach();
}

fn send<O: Operation>(database: &Rc<Database>, lane: &Lane<O>) {
    let batch = lane.take();
    if batch.is_empty() {
        return;
    }
    lane.in_flight.set(lane.in_flight.get() + 1);
    lane.last_size.set(batch.len());
    lane.sent_at.set(Some(Instant::now()));
    let database = database.clone();
    spawn(async move {
        run_batch(&database, batch).await;
        if let Some(lanes) = &database.lanes {
            let lane = O::lane(lanes);
            lane.in_flight.set(lane.in_flight.get() - 1);
            send(&database, lane);
        }
    })
    .detach();
}

/// Settles every call. When PostgreSQL refuses the batch, nothing has changed, and each call gets its own verdict.
async fn run_batch<O: Operation>(database: &Database, batch: Vec<Call<O>>) {
    if batch.len() == 1 {
        return run_singly(database, batch).await;
    }
    match run_many(database, &batch).await {
        Ok(answers) => {
            for (call, answer) in batch.into_iter().zip(answers) {
                // Nobody may be waiting any more.
                let _ = call.reply.send(Ok(answer));
            }
        }
        Err(error) if error.is_refusal() => run_singly(database, batch).await,
        Err(error) => {
            eprintln!("A batch was lost: {}", error.cause());
            for call in batch {
                let lost = AppError::Unavailable("The database gave no answer");
                let _ = call.reply.send(Err(lost));
            }
        }
    }
}

async fn run_singly<O: Operation>(database: &Database, batch: Vec<Call<O>>) {
    let settled = batch.into_iter().map(|call| async move {
        let result = database.run_one(&call.operation).await;
        let _ = call.reply.send(result);
    });
    join_all(settled).await;
}

/// The answers, in the order of the calls; rows prove by their numbers whose they are.
async fn run_many<O: Operation>(database: &Database, batch: &[Call<O>]) -> AppResult<Vec<Answer>> {
    let lanes = database
        .lanes
        .as_ref()
        .ok_or(anyhow!("there are no batches"))?;
    let numbers = lanes.take_numbers(batch.len());
    let calls: Vec<&O> = batch.iter().map(|call| &call.operation).collect();
    let columns = O::columns(&calls);
    let mut parameters: Vec<Parameter> = columns
        .iter()
        .map(|column| &**column as Parameter)
        .collect();
    parameters.push(&numbers);
    let rows = if O::WRITES {
        database.write(O::MANY, &parameters).await?
    } else {
        database.read(O::MANY, &parameters).await?
    };
    let mut answers: Vec<Option<Answer>> = batch.iter().map(|_| None).collect();
    for row in &rows {
        let position = row.get::<_, i32>(0).wrapping_sub(numbers[0]) as usize;
        let place = answers.get_mut(position);
        *place.ok_or(anyhow!("a row answers a call that was not made"))? = Some(O::answer(row, 1));
    }
    let complete: Option<Vec<Answer>> = answers.into_iter().collect();
    Ok(complete.ok_or(anyhow!("a call has no row"))?)
}

impl<O: Operation> Lane<O> {
    fn may_send(&self) -> bool {
        match self.in_flight.get() {
            0 => true,
            in_flight if in_flight >= BATCHES_MAX => false,
            _ => self.sent_at.get().is_some_and(|at| at.elapsed() > SLOW),
        }
    }

    /// The next batch, without the calls that nobody waits for any more. Of two that change one row the second stays.
    fn take(&self) -> Vec<Call<O>> {
        let mut waiting = self.waiting.borrow_mut();
        let mut taken = Vec::with_capacity(waiting.len().min(CALLS_MAX));
        let mut left = VecDeque::new();
        let mut rows = HashSet::default();
        while taken.len() < CALLS_MAX {
            let Some(call) = waiting.pop_front() else {
                break;
            };
            if call.reply.is_canceled() {
                continue;
            }
            match call.operation.changes() {
                Some(row) if !rows.insert(row) => left.push_back(call),
                _ => taken.push(call),
            }
        }
        left.append(&mut waiting);
        *waiting = left;
        taken
    }
}

impl<O> Default for Lane<O> {
    fn default() -> Self {
        Self {
            waiting: RefCell::default(),
            in_flight: Cell::new(0),
            last_size: Cell::new(0),
            scheduled: Cell::new(false),
            sent_at: Cell::new(None),
        }
    }
}
