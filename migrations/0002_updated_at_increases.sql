-- updated_at was the start of the transaction, and of two that change one row the first to start can be the last to
-- change it: its time was then equal or earlier. Now each change of a row has a later time than the one before,
-- even when the clock of the server goes back.
create or replace function set_updated_at() returns trigger language plpgsql as $$
begin
  new.updated_at = greatest(clock_timestamp(), old.updated_at + interval '1 microsecond');
  return new;
end
$$;
