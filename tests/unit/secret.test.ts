import { format, inspect } from 'node:util'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { parseConfig } from '../../src/server/config/config.ts'
import { Secret } from '../../src/server/config/secret.ts'

const TEXT = 'correct horse battery staple, long enough'
const secret = new Secret(TEXT)
/** For operations that the compiler would refuse. */
const asText = secret as unknown as string

function logged(fields: object): string {
  let text = ''
  const write = (line: string) => {
    text += line
  }
  pino({}, { write }).info(fields, `about ${String(secret)}`)
  return text
}

describe('a secret is shown as [secret]', () => {
  test.each<[string, string]>([
    ['String()', String(secret)],
    ['a template', `it is ${asText}`.slice(6)],
    ['+', ('it is ' + asText).slice(6)],
    ['concat', ''.concat(asText)],
    ['join', [secret].join(',')],
    ['JSON.stringify', JSON.parse(JSON.stringify(secret))],
    ['util.inspect', inspect(secret)],
    ['util.format %s', format('%s', secret)],
    ['util.format %o', format('%o', secret)],
    ['an error message', new Error(String(secret)).message],
    ['toLocaleString', secret.toLocaleString()],
  ])('by %s', (_way, shown) => {
    expect(shown).toBe('[secret]')
  })

  test.each<[string, string]>([
    ['JSON.stringify of what holds it', JSON.stringify({ deep: [{ secret }] })],
    ['util.inspect of what holds it', inspect({ deep: [{ secret }] }, { depth: 9 })],
    ['util.inspect with all there is', inspect({ secret }, { showHidden: true, depth: 9 })],
    ['util.format %j', format('%j', { secret })],
    ['pino', logged({ secret })],
    ['pino, nested', logged({ config: { secret } })],
  ])('by %s', (_way, shown) => {
    expect(shown).toContain('[secret]')
    expect(shown).not.toContain(TEXT)
  })
})

test('a secret has nothing to enumerate, copy or clone', () => {
  expect(Object.entries(secret)).toEqual([])
  expect(Object.assign({}, secret)).toEqual({})
  expect(JSON.stringify(structuredClone(secret))).toBe('{}')
})

test('reveal gives the text', () => {
  expect(secret.reveal()).toBe(TEXT)
})

test('a configuration shows none of its secrets', () => {
  const config = parseConfig({
    DATABASE_URL: 'postgres://ada:hunter2@localhost/taskapi',
    JWT_SECRET: TEXT,
  })
  const shown = JSON.stringify(config) + inspect(config, { depth: 9 }) + logged({ config })
  expect(shown).toContain('[secret]')
  expect(shown).not.toContain('hunter2')
  expect(shown).not.toContain(TEXT)
})
