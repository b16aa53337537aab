//! The statements, each prepared once on every connection. Those for many calls read them from arrays and answer with
//! the number of the call in front.

/// The columns of a task, in the order of its JSON.
macro_rules! columns {
    () => {
        "t.id, t.user_id, t.title, t.description, t.status, t.priority, t.due_at, t.created_at, t.updated_at"
    };
}

macro_rules! list {
    ($condition:literal, $limit:literal) => {
        concat!(
            "select ",
            columns!(),
            " from tasks t where t.user_id = $1",
            $condition,
            " order by t.created_at desc, t.id desc limit ",
            $limit
        )
    };
}

/// Locks the rows in the order of their key, so that two batches cannot wait for each other's rows.
macro_rules! locked {
    ($strength:literal) => {
        concat!(
            "locked as materialized (
               select input.* from input join tasks t on t.user_id = input.user_id and t.id = input.id
               order by t.user_id, t.id for ",
            $strength,
            " of t)"
        )
    };
}

#[derive(Clone, Copy)]
pub enum Query {
    FindTask,
    FindTasks,
    ListTasks,
    ListTasksByStatus,
    InsertTask,
    InsertTasks,
    UpdateTask,
    UpdateTasks,
    DeleteTask,
    DeleteTasks,
    InsertUser,
    FindCredentials,
}

impl Query {
    /// In the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::FindTask,
        Self::FindTasks,
        Self::ListTasks,
        Self::ListTasksByStatus,
        Self::InsertTask,
        Self::InsertTasks,
        Self::UpdateTask,
        Self::UpdateTasks,
        Self::DeleteTask,
        Self::DeleteTasks,
        Self::InsertUser,
        Self::FindCredentials,
    ];

    pub fn text(self) -> &'static str {
        match self {
            Self::FindTask => concat!(
                "select ",
                columns!(),
                " from tasks t where t.user_id = $1 and t.id = $2"
            ),
            Self::FindTasks => concat!(
                "select input.n, ",
                columns!(),
                " from unnest($1::uuid[], $2::uuid[], $3::int[]) as input (user_id, id, n)
                 left join tasks t on t.user_id = input.user_id and t.id = input.id"
            ),
            Self::ListTasks => list!("", "$2 offset $3"),
            Self::ListTasksByStatus => list!(" and t.status = $2", "$3 offset $4"),
            Self::InsertTask => concat!(
                "insert into tasks as t (user_id, id, title, description, priority, due_at)
                 values ($1, $2, $3, $4, $5, $6) returning ",
                columns!()
            ),
            Self::InsertTasks => concat!(
                "insert into tasks as t (user_id, id, title, description, priority, due_at)
                 select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::priority[], $6::timestamptz[])
                 returning ($7::int[])[array_position($2::uuid[], t.id)], ",
                columns!()
            ),
            Self::UpdateTask => concat!(
                "update tasks t set
                   title = coalesce($3, title),
                   description = case when $4 then $5 else description end,
                   status = coalesce($6, status),
                   priority = coalesce($7, priority),
                   due_at = case when $8 then $9 else due_at end
                 where t.user_id = $1 and t.id = $2 returning ",
                columns!()
            ),
            Self::UpdateTasks => concat!(
                "with input (user_id, id, title, description_given, description, status, priority, due_at_given, due_at, n) as (
                   select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bool[], $5::text[], $6::task_status[],
                     $7::priority[], $8::bool[], $9::timestamptz[], $10::int[])), ",
                locked!("no key update"),
                ", changed as (
                   update tasks t set
                     title = coalesce(input.title, t.title),
                     description = case when input.description_given then input.description else t.description end,
                     status = coalesce(input.status, t.status),
                     priority = coalesce(input.priority, t.priority),
                     due_at = case when input.due_at_given then input.due_at else t.due_at end
                   from locked as input where t.user_id = input.user_id and t.id = input.id
                   returning input.n, ",
                columns!(),
                ") select input.n, t.id, t.user_id, t.title, t.description, t.status, t.priority, t.due_at, t.created_at,
                   t.updated_at from input left join changed as t on t.n = input.n"
            ),
            Self::DeleteTask => {
                "delete from tasks t where t.user_id = $1 and t.id = $2 returning t.id"
            }
            Self::DeleteTasks => concat!(
                "with input (user_id, id, n) as (select * from unnest($1::uuid[], $2::uuid[], $3::int[])), ",
                locked!("update"),
                ", deleted as (
                   delete from tasks t using locked as input where t.user_id = input.user_id and t.id = input.id
                   returning input.n, t.id)
                 select input.n, deleted.id from input left join deleted on deleted.n = input.n"
            ),
            Self::InsertUser => {
                "insert into users (id, email, password_hash) values ($1, $2, $3)
                 on conflict do nothing returning id, email, created_at"
            }
            Self::FindCredentials => {
                "select id, email, created_at, password_hash from users
                 where lower(email collate \"C\") = lower($1 collate \"C\")"
            }
        }
    }
}
