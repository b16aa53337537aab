-- How many logins have failed, for whom and from where: nodes share it, and restarts do not forget it.
--
-- A key is a keyed hash, of an e-mail address or the address of a client or both, so that the table shows neither. What
-- was typed as an e-mail address can be anything, even a password.
create table login_failures (
  key text not null,
  failures integer not null,
  expires_at timestamptz not null,
  constraint login_failures_pkey primary key (key),
  constraint login_failures_key_length check (char_length(key) between 1 and 64),
  constraint login_failures_count check (failures > 0)
);

create index login_failures_expires_at_idx on login_failures (expires_at);

-- Each new row takes up to ten expired ones with it, so that the table is as large as what is in force, whoever floods it.
-- Rows that another session holds are left to the next one: nobody waits, and nobody deadlocks.
create function delete_expired_login_failures() returns trigger language plpgsql as $$
begin
  delete from login_failures where key in (
    select key from login_failures where expires_at < now()
    order by expires_at limit 10 for update skip locked
  );
  return null;
end
$$;

create trigger login_failures_delete_expired
  after insert on login_failures
  for each row execute function delete_expired_login_failures();

-- Where each account has logged in from: failures of strangers do not count against it there.
create table familiar_clients (
  user_id uuid not null,
  client text not null,
  last_login_at timestamptz not null default now(),
  constraint familiar_clients_pkey primary key (user_id, client),
  constraint familiar_clients_user_id_fkey foreign key (user_id) references users (id) on delete cascade,
  constraint familiar_clients_client_length check (char_length(client) between 1 and 64)
);

-- An account keeps the twenty clients that it has used last, of the last ninety days.
create function delete_forgotten_clients() returns trigger language plpgsql as $$
begin
  delete from familiar_clients where user_id = new.user_id and (
    last_login_at < now() - interval '90 days' or client in (
      select client from familiar_clients where user_id = new.user_id
      order by last_login_at desc, client offset 20
    )
  );
  return null;
end
$$;

create trigger familiar_clients_delete_forgotten
  after insert on familiar_clients
  for each row execute function delete_forgotten_clients();
