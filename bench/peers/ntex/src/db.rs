//! The connections of one worker. Statements are pipelined over few of them: those that are made in one turn of the
//! event loop are written to a socket together.

use std::{cell::Cell, process, str::FromStr, time::Duration};

use futures_util::future::try_join_all;
use ntex::rt::spawn;
use tokio_postgres::{Client, NoTls, Row, Statement, types::ToSql};

use crate::{
    batch::Lanes,
    config::Config,
    error::AppResult,
    operations::{Answer, Operation},
    sql::Query,
};

pub type Parameter<'a> = &'a (dyn ToSql + Sync);
type Rows = Result<Vec<Row>, tokio_postgres::Error>;

/// One plan for each statement, no compilation, and an end for one that waits for a lock.
const SESSION: &str = "-c statement_timeout=5000 -c jit=off -c plan_cache_mode=force_generic_plan";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

pub struct Database {
    reads: Vec<Connection>,
    writes: Vec<Connection>,
    pub lanes: Option<Lanes>,
}

struct Connection {
    client: Client,
    statements: Vec<Statement>,
    in_flight: Cell<usize>,
}

impl Database {
    pub async fn connect(config: &Config) -> anyhow::Result<Self> {
        let mut options = tokio_postgres::Config::from_str(&config.database_url)?;
        options.options(SESSION).connect_timeout(CONNECT_TIMEOUT);
        let open = |count| try_join_all((0..count).map(|_| Connection::open(&options)));
        Ok(Self {
            reads: open(config.read_connections).await?,
            writes: open(config.write_connections).await?,
            lanes: config.batching.then(Lanes::default),
        })
    }

    pub async fn read(&self, query: Query, parameters: &[Parameter<'_>]) -> Rows {
        least_busy(&self.reads).query(query, parameters).await
    }

    pub async fn write(&self, query: Query, parameters: &[Parameter<'_>]) -> Rows {
        least_busy(&self.writes).query(query, parameters).await
    }

    /// Runs a call as a statement of its own.
    pub async fn run_one<O: Operation>(&self, call: &O) -> AppResult<Answer> {
        let parameters = call.parameters();
        let rows = if O::WRITES {
            self.write(O::ONE, &parameters).await?
        } else {
            self.read(O::ONE, &parameters).await?
        };
        Ok(rows.first().and_then(|row| O::answer(row, 0)))
    }
}

impl Connection {
    async fn open(options: &tokio_postgres::Config) -> anyhow::Result<Self> {
        let (client, connection) = options.connect(NoTls).await?;
        spawn(async move {
            // A peer that lost a connection ends, rather than be measured with fewer.
            if let Err(error) = connection.await {
                eprintln!("A connection to the database was lost: {error}");
                process::exit(1);
            }
        })
        .detach();
        let statements = Query::ALL.iter().map(|query| client.prepare(query.text()));
        Ok(Self {
            statements: try_join_all(statements).await?,
            client,
            in_flight: Cell::new(0),
        })
    }

    async fn query(&self, query: Query, parameters: &[Parameter<'_>]) -> Rows {
        let _in_flight = InFlight::begin(&self.in_flight);
        let statement = &self.statements[query as usize];
        self.client.query(statement, parameters).await
    }
}

fn least_busy(connections: &[Connection]) -> &Connection {
    connections
        .iter()
        .min_by_key(|connection| connection.in_flight.get())
        .expect("there is a connection of each kind")
}

/// A statement in flight, or one that nobody waits for any more.
struct InFlight<'a>(&'a Cell<usize>);

impl<'a> InFlight<'a> {
    fn begin(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
