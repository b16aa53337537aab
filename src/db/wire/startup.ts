// Runs in every process that talks to PostgreSQL. The beginning of a session: who we are, what we want, until
// PostgreSQL is ready for statements.
import { authenticate, type Channel, type Credentials } from './auth.ts'
import { malformed } from './descriptions.ts'
import { ConnectionError, readReport, violation } from './error.ts'
import type { Mailbox } from './mailbox.ts'
import { MESSAGE, PROTOCOL_VERSION, readCstrings, readInt32, STATUS_IDLE } from './protocol.ts'
import { type Reports, takeReport } from './reports.ts'
import { cstring } from './statement.ts'

export interface SessionOptions {
  credentials: Credentials
  database: string
  /** Settings that go with the start-up message. Poolers refuse most of them. */
  parameters: Readonly<Record<string, string>>
}

export interface Session {
  /** What PostgreSQL has reported about itself, by name. */
  parameters: Map<string, string>
  /** Of the backend; absent where a pooler has none. */
  processId: number | undefined
}

/** The protocol has meanings of its own for these names. */
const RESERVED = new Set(['user', 'database', 'replication', 'client_encoding'])
const PARAMETER_NAME = /^[a-z][a-z0-9_.]*$/i

export async function startSession(
  mailbox: Mailbox,
  send: (bytes: Buffer) => void,
  channel: Channel,
  options: SessionOptions,
  reports: Reports,
): Promise<Session> {
  send(startupMessage(options))
  await authenticate({ mailbox, send, credentials: options.credentials, channel })
  const session: Session = { parameters: new Map(), processId: undefined }
  while (!(await takeStartMessage(mailbox, session, reports)));
  checkParameters(session.parameters)
  return session
}

function startupMessage({ credentials, database, parameters }: SessionOptions): Buffer {
  const pairs = { user: credentials.user, database, client_encoding: 'UTF8' }
  const texts = Object.entries(pairs).flat()
  for (const [name, value] of Object.entries(parameters)) {
    if (RESERVED.has(name) || !PARAMETER_NAME.test(name) || value.includes('\0')) {
      throw new ConnectionError('INVALID_PARAMETER', `Start-up parameter ${name} is not valid`)
    }
    texts.push(name, value)
  }
  const body = Buffer.concat([...texts.map(cstring), Buffer.alloc(1)])
  const header = Buffer.alloc(8)
  header.writeInt32BE(header.length + body.length)
  header.writeInt32BE(PROTOCOL_VERSION, 4)
  return Buffer.concat([header, body])
}

/** Takes one message; true when it was the last. */
async function takeStartMessage(
  mailbox: Mailbox,
  session: Session,
  reports: Reports,
): Promise<boolean> {
  const { code, body } = await mailbox.next()
  switch (code) {
    case MESSAGE.READY_FOR_QUERY:
      if (body[0] !== STATUS_IDLE) throw violation('PostgreSQL starts inside a transaction')
      return true
    case MESSAGE.ERROR:
      throw readReport(body, 0, body.length)
    case MESSAGE.BACKEND_KEY:
      session.processId = readInt32(body, 0)
      return false
    case MESSAGE.PARAMETER_STATUS: {
      const [name, value] = readCstrings(body, 0, body.length, 2) ?? []
      if (name === undefined || value === undefined) throw malformed('parameter status')
      session.parameters.set(name, value)
      reports.onParameter?.(name, value)
      return false
    }
    default:
      takeReport(reports, code, body, 0, body.length)
      return false
  }
}

/** Texts and times would be read wrongly otherwise. A pooler may report nothing. */
export function checkParameters(parameters: ReadonlyMap<string, string>): void {
  const encoding = parameters.get('client_encoding')
  if (encoding !== undefined && encoding !== 'UTF8') {
    throw violation('PostgreSQL does not speak UTF-8')
  }
  if (parameters.get('integer_datetimes') === 'off') {
    throw violation('PostgreSQL sends times as floating-point numbers')
  }
}
