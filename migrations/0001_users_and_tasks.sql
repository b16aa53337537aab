-- Accounts and their tasks. Names of types, columns and values are the article's.
--
-- Ids are UUIDv7 made by the service, so that no statement depends on one server's sequence and a
-- distributed PostgreSQL can shard by user_id: it leads every key of tasks.

create type task_status as enum ('todo', 'in_progress', 'done', 'cancelled');
create type priority as enum ('low', 'medium', 'high', 'critical');

create table users (
  id uuid not null,
  email text not null,
  password_hash text not null,
  created_at timestamptz not null default now(),
  constraint users_pkey primary key (id),
  constraint users_email_length check (char_length(email) between 3 and 254)
);

-- One account per address, whatever its case; also the index of every login.
create unique index users_email_key on users (lower(email));

create table tasks (
  user_id uuid not null,
  id uuid not null,
  title text not null,
  description text,
  status task_status not null default 'todo',
  priority priority not null default 'medium',
  due_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint tasks_pkey primary key (user_id, id),
  constraint tasks_user_id_fkey foreign key (user_id) references users (id) on delete cascade,
  constraint tasks_title_length check (char_length(title) between 1 and 200),
  constraint tasks_description_length check (char_length(description) <= 2000)
);

-- The two list queries, each read in index order: newest first, with id to settle equal times.
create index tasks_newest_idx on tasks (user_id, created_at desc, id desc);
create index tasks_status_newest_idx on tasks (user_id, status, created_at desc, id desc);

-- The database, not its clients, says when a row changed.
create function set_updated_at() returns trigger language plpgsql as $$
begin
  new.updated_at = now();
  return new;
end
$$;

create trigger tasks_set_updated_at
  before update on tasks
  for each row execute function set_updated_at();
