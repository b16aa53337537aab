// Ways in which a server, or the network before it, can go wrong; each is chosen by a random generator with a seed.
import type { Socket } from 'node:net'
import { type Random, randomBelow } from '../support/random.ts'
import { dataRow, READY, report, type Speaker, tagged } from './scripted-server.ts'

export interface Lie {
  name: string
  speaker: Speaker
  /** True when what was said stays within the protocol: every answer must be right. */
  honest: boolean
}

type Change = (message: Buffer, random: Random) => Buffer | Buffer[]

const LENGTHS = [0, 1, 3, 4, 5, 12, 255, 65_536, 1_000_000, 2 ** 31 - 1, -1, -4, -(2 ** 31)]

/** What happens to one message; the conversation goes on after it. */
const CHANGES: Record<string, Change> = {
  'flips a bit': (message, random) => {
    const at = random(message.length)
    message[at] = (message[at] ?? 0) ^ (1 << random(8))
    return message
  },
  'replaces a byte': (message, random) => {
    message[random(message.length)] = random(256)
    return message
  },
  'replaces many bytes': (message, random) => {
    for (let count = 1 + random(8); count > 0; count -= 1)
      message[random(message.length)] = random(256)
    return message
  },
  'replaces a byte of the header': (message, random) => {
    message[random(5)] = random(256)
    return message
  },
  'announces another length': (message, random) => {
    message.writeInt32BE(LENGTHS[random(LENGTHS.length)] ?? 0, 1)
    return message
  },
  'announces a length off by little': (message, random) => {
    message.writeInt32BE(message.readInt32BE(1) + random(9) - 4, 1)
    return message
  },
  'sends it twice': (message) => [message, message],
  'leaves it out': () => [],
  'leaves bytes out': (message, random) => {
    const from = random(message.length)
    return Buffer.concat([message.subarray(0, from), message.subarray(from + 1 + random(8))])
  },
  'inserts bytes': (message, random) => {
    const at = random(message.length)
    const extra = Buffer.from(Array.from({ length: 1 + random(8) }, () => random(256)))
    return Buffer.concat([message.subarray(0, at), extra, message.subarray(at)])
  },
  'inserts a message': (message, random) => [INSERTED[random(INSERTED.length)] ?? READY, message],
  'sends another message instead': (_, random) => INSERTED[random(INSERTED.length)] ?? READY,
  'sends a row of another call': (message, random) => [
    dataRow([String(random(3)), `row 1 of 1 for ${random(3)}`, null]),
    message,
  ],
}

const INSERTED = [
  READY,
  tagged('Z', Buffer.from('T')),
  tagged('1'),
  tagged('2'),
  tagged('3'),
  tagged('n'),
  tagged('s'),
  tagged('I'),
  tagged('G', Buffer.from('0000000', 'hex')),
  tagged('H', Buffer.from([0, 0, 0])),
  tagged('W', Buffer.from([0, 0, 0])),
  tagged('d', Buffer.from('copy')),
  tagged('c'),
  tagged('V', Buffer.from('ffffffff', 'hex')),
  tagged('v', Buffer.alloc(8)),
  tagged('R', Buffer.alloc(4)),
  tagged('R', Buffer.from('00000003', 'hex')),
  tagged('K', Buffer.alloc(8)),
  tagged('t', Buffer.from('0000', 'hex')),
  tagged('T', Buffer.from('0000', 'hex')),
  tagged('C', Buffer.from('SELECT 1\0')),
  tagged('C', Buffer.from('SELECT 0\0')),
  tagged('D', Buffer.from('0000', 'hex')),
  tagged('E'),
  tagged('E', Buffer.from('\0')),
  report('E', 'ERROR', '22012'),
  report('E', 'FATAL', '57P01'),
  report('E', 'FEHLER', '22012'),
  tagged('S', Buffer.from('client_encoding\0LATIN1\0')),
  tagged('S', Buffer.from('client_encoding')),
  tagged('N', Buffer.from('x')),
  tagged('A', Buffer.from('00', 'hex')),
]

/** What is legal at any time. */
const REPORTS = [
  report('N', 'NOTICE', '00000'),
  tagged('S', Buffer.from('TimeZone\0UTC\0')),
  tagged('A', Buffer.from('\0\0\0\x01channel\0payload\0')),
]

const ENDS: Record<string, (socket: Socket) => void> = {
  'falls silent': () => undefined,
  'hangs up': (socket) => socket.end(),
  breaks: (socket) => socket.destroy(),
}

/** What goes wrong with this seed, somewhere in the first `messages` of a conversation. */
export function makeLie(seed: number, messages: number): Lie {
  const random = randomBelow(seed)
  const at = random(messages)
  const kind = random(10)
  if (kind === 0) return { name: 'sends pieces', speaker: inPieces(random), honest: true }
  if (kind === 1) return { name: 'reports at any time', speaker: withReports(random), honest: true }
  if (kind === 2) return cutOff(random, at)
  if (kind === 3) return swapped(at)
  const names = Object.keys(CHANGES)
  const name = names[random(names.length)] ?? ''
  const change = CHANGES[name] ?? (() => [])
  const speaker: Speaker = (socket, message, position) => {
    const changed = position === at ? change(Buffer.from(message), random) : message
    for (const each of [changed].flat()) socket.write(each)
  }
  return { name: `${name} at ${at}`, speaker: hangingUp(speaker, random), honest: false }
}

function inPieces(random: Random): Speaker {
  return (socket, message) => {
    let rest = message
    while (rest.length > 0) {
      const bytes = 1 + random(rest.length)
      socket.write(rest.subarray(0, bytes))
      rest = rest.subarray(bytes)
    }
  }
}

function withReports(random: Random): Speaker {
  return (socket, message, position) => {
    // Nothing but authentication may come before it is done.
    if (position > 0 && random(2) === 0) socket.write(REPORTS[random(REPORTS.length)] ?? READY)
    socket.write(message)
  }
}

function cutOff(random: Random, at: number): Lie {
  const names = Object.keys(ENDS)
  const name = names[random(names.length)] ?? ''
  const speaker: Speaker = (socket, message, position) => {
    if (position < at) socket.write(message)
    if (position !== at) return
    socket.write(message.subarray(0, random(message.length)))
    ENDS[name]?.(socket)
  }
  return { name: `${name} at ${at}`, speaker, honest: false }
}

function swapped(at: number): Lie {
  let held: Buffer | undefined
  const speaker: Speaker = (socket, message, position) => {
    if (position === at) {
      held = message
      return
    }
    socket.write(message)
    if (position === at + 1 && held) socket.write(held)
  }
  return { name: `swaps ${at} and ${at + 1}`, speaker, honest: false }
}

/** Most of the servers end what they have made unreadable; with the others only a deadline helps. */
function hangingUp(speaker: Speaker, random: Random): Speaker {
  if (random(4) === 0) return speaker
  return (socket, message, position) => {
    speaker(socket, message, position)
    clearTimeout(timers.get(socket))
    timers.set(
      socket,
      setTimeout(() => socket.end(), 20),
    )
  }
}

const timers = new WeakMap<Socket, NodeJS.Timeout>()
