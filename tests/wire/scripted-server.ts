// A server that speaks just enough of the protocol to be asked for numbered rows, and lies when it is told to.
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { declareStatement } from '../../src/db/wire/statement.ts'
import { ANY, INT4, TEXT } from '../../src/db/wire/types.ts'

/** Every byte of a row follows from the number of its call, so that a wrong one is seen. */
export const NUMBERED = declareStatement({
  name: 'numbered',
  text: "select $1::text, 'row ' || i || ' of ' || $2 || ' for ' || $1, null::text from generate_series(1, $2::int4) i",
  parameters: [TEXT, INT4],
  columns: [TEXT, ANY, TEXT],
})

export function numberedRow(number: string, index: number, rows: number): (string | null)[] {
  return [number, `row ${index} of ${rows} for ${number}`, null]
}

/** Sends one message of an honest conversation, or whatever else. `position` counts the messages. */
export type Speaker = (socket: Socket, message: Buffer, position: number) => void

export interface ScriptedServer {
  url: string
  /** Who speaks on the connection that asks for this database. */
  speakers: Map<string, Speaker>
  close(): Promise<void>
}

export async function startScriptedServer(): Promise<ScriptedServer> {
  const folder = await mkdtemp(join(tmpdir(), 'liar-'))
  const speakers = new Map<string, Speaker>()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    converse(socket, speakers)
  })
  server.listen(join(folder, '.s.PGSQL.5432'))
  await once(server, 'listening')
  return {
    url: `postgres:///DATABASE?host=${folder}&user=tester`,
    speakers,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Reads what the client sends, and says what an honest server would say through the connection's speaker. */
function converse(socket: Socket, speakers: Map<string, Speaker>): void {
  let unread = Buffer.alloc(0)
  let speaker: Speaker | undefined
  let position = 0
  const say = (messages: Buffer[]) => {
    for (const message of messages) {
      speaker?.(socket, message, position)
      position += 1
    }
  }
  socket.on('data', (bytes: Buffer) => {
    unread = Buffer.concat([unread, bytes])
    for (;;) {
      const header = speaker ? 1 : 0
      if (unread.length < header + 4) return
      const end = header + unread.readInt32BE(header)
      if (unread.length < end) return
      const message = unread.subarray(0, end)
      unread = unread.subarray(end)
      if (speaker) say(replyTo(message))
      else {
        const names = message.toString('utf8', 8).split('\0')
        speaker = speakers.get(names[names.indexOf('database') + 1] ?? '')
        if (!speaker) return
        say(GREETING)
      }
    }
  })
}

function replyTo(message: Buffer): Buffer[] {
  switch (String.fromCharCode(message[0] ?? 0)) {
    case 'P':
      return [tagged('1')]
    case 'D':
      return [parameterDescription(), rowDescription()]
    case 'B':
      return [tagged('2'), ...rowsFor(message)]
    case 'S':
      return [READY]
    default:
      return []
  }
}

/** The parameters are at the end of the Bind message: the number as text, the count of rows in four bytes. */
function rowsFor(bind: Buffer): Buffer[] {
  // Portal, name, two formats and the number of parameters lie before them.
  let at = 5 + 1 + NUMBERED.name.length + 1 + 2 + 4 + 2
  const bytes = bind.readInt32BE(at)
  const number = bind.toString('utf8', at + 4, at + 4 + bytes)
  at += 4 + bytes
  const rows = bind.readInt32BE(at + 4)
  const messages = Array.from({ length: rows }, (_, index) =>
    dataRow(numberedRow(number, index + 1, rows)),
  )
  return [...messages, tagged('C', Buffer.from(`SELECT ${rows}\0`))]
}

export function tagged(code: string, body: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(5)
  header.write(code, 'latin1')
  header.writeInt32BE(4 + body.length, 1)
  return Buffer.concat([header, body])
}

export function dataRow(values: (string | null)[]): Buffer {
  const parts = values.map((value) => {
    const text = Buffer.from(value ?? '')
    const length = Buffer.alloc(4)
    length.writeInt32BE(value === null ? -1 : text.length)
    return Buffer.concat([length, text])
  })
  const count = Buffer.alloc(2)
  count.writeUInt16BE(values.length)
  return tagged('D', Buffer.concat([count, ...parts]))
}

export function report(code: string, severity: string, sqlState: string): Buffer {
  const fields = [`S${severity}`, `V${severity}`, `C${sqlState}`, 'Mmade up', '', ''].join('\0')
  return tagged(code, Buffer.from(fields))
}

function parameterDescription(): Buffer {
  const body = Buffer.alloc(10)
  body.writeUInt16BE(2)
  body.writeInt32BE(25, 2)
  body.writeInt32BE(23, 6)
  return tagged('t', body)
}

function rowDescription(): Buffer {
  const columns = ['text', '?column?', 'text'].map((name) => {
    const rest = Buffer.alloc(18)
    rest.writeInt32BE(25, 6)
    rest.writeInt16BE(-1, 10)
    rest.writeInt32BE(-1, 12)
    return Buffer.concat([Buffer.from(`${name}\0`), rest])
  })
  return tagged('T', Buffer.concat([Buffer.from([0, 3]), ...columns]))
}

export const READY = tagged('Z', Buffer.from('I'))
const GREETING = [
  tagged('R', Buffer.alloc(4)),
  tagged('S', Buffer.from('client_encoding\0UTF8\0')),
  tagged('S', Buffer.from('server_version\x0018.0\0')),
  tagged('K', Buffer.from('0000002a01020304', 'hex')),
  READY,
]
export const GREETING_MESSAGES = GREETING.length
