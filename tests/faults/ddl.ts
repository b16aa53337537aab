// Changes of the schema that leave it as it was when all of them have run.

/** Every kind of change that a migration makes to a table that is in use. */
export const DDL = [
  'alter table tasks alter column title type varchar(300)',
  'alter table tasks add column extra int not null default 1',
  'create index tasks_extra_idx on tasks (user_id, title)',
  'alter table tasks alter column description type varchar(3000)',
  'alter table tasks drop column extra',
  'drop index if exists tasks_extra_idx',
  'alter table tasks alter column title type text',
  `alter type task_status add value if not exists 'blocked'`,
  `alter type priority rename value 'critical' to 'urgent'`,
  `alter type priority rename value 'urgent' to 'critical'`,
  'alter table tasks alter column description type text',
  'alter table tasks rename column due_at to due; alter table tasks rename column due to due_at',
  `alter type priority rename to old_priority;
   create type priority as enum ('low', 'medium', 'high', 'critical');
   alter table tasks alter column priority drop default,
     alter column priority type priority using priority::text::priority,
     alter column priority set default 'medium';
   drop type old_priority`,
  'alter table users alter column email type varchar(300)',
  'alter table users alter column email type text',
  'vacuum full tasks',
  'analyze tasks',
]
