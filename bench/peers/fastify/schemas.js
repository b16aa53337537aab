// JSON Schemas of tasks: what comes in is checked by them, what goes out is serialised by them.
const Title = { type: 'string', minLength: 1, maxLength: 200 }
const Description = { type: ['string', 'null'], maxLength: 2000 }
const DueAt = { type: ['string', 'null'], format: 'date-time' }
const TaskStatus = { type: 'string', enum: ['todo', 'in_progress', 'done', 'cancelled'] }
const Priority = { type: 'string', enum: ['low', 'medium', 'high', 'critical'] }

export const TaskId = {
  type: 'object',
  properties: { id: { type: 'string', format: 'uuid' } },
}

export const TaskListQuery = {
  type: 'object',
  additionalProperties: false,
  properties: {
    status: TaskStatus,
    limit: { type: 'integer', minimum: 1, default: 50 },
    offset: { type: 'integer', minimum: 0, default: 0 },
  },
}

export const NewTask = {
  type: 'object',
  additionalProperties: false,
  required: ['title'],
  properties: {
    title: Title,
    description: Description,
    priority: { ...Priority, default: 'medium' },
    due_at: DueAt,
  },
}

export const TaskChanges = {
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  properties: {
    title: Title,
    description: Description,
    status: TaskStatus,
    priority: Priority,
    due_at: DueAt,
  },
}

const text = { type: 'string' }
const textOrNull = { type: ['string', 'null'] }
const taskFields = {
  id: text,
  user_id: text,
  title: text,
  description: textOrNull,
  status: text,
  priority: text,
  due_at: textOrNull,
  created_at: text,
  updated_at: text,
}

export const Task = {
  type: 'object',
  required: Object.keys(taskFields),
  properties: taskFields,
}

export const Tasks = { type: 'array', items: Task }
