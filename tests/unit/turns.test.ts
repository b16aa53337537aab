import { expect, test } from 'vitest'
import { type Member, Turns } from '../../src/workers/passwords/turns.ts'

type Named = Member & { name: string }

function member(name: string): Named {
  const kind = name.startsWith('l') ? 'login' : 'registration'
  return { name, kind, client: name.slice(1, 2) }
}

/** A letter for the kind, one for the client, and what else tells them apart. */
function waiting(...names: string[]): Turns<Named> {
  const turns = new Turns<Named>()
  for (const name of names) turns.push(member(name))
  return turns
}

function order(turns: Turns<Named>): string[] {
  return Array.from({ length: turns.size }, () => turns.shift()?.name ?? '')
}

test('each client gets a turn before any gets a second one', () => {
  expect(order(waiting('la1', 'la2', 'la3', 'lb1', 'lb2', 'lc1'))).toEqual([
    'la1',
    'lb1',
    'lc1',
    'la2',
    'lb2',
    'la3',
  ])
})

test('logins go ahead of registrations, but every fourth turn is one of a registration', () => {
  expect(order(waiting('ra1', 'ra2', 'ra3', 'lb1', 'lb2', 'lc1', 'lc2', 'lc3'))).toEqual([
    'lb1',
    'lc1',
    'lb2',
    'ra1',
    'lc2',
    'lc3',
    'ra2',
    'ra3',
  ])
})

test('a newcomer displaces the latest of the client that has most, registrations first', () => {
  const turns = waiting('la1', 'ra1', 'ra2', 'lb1')
  expect(turns.displace(member('rc1'))?.name).toBe('ra2')
  expect(turns.displace(member('rc1'))?.name).toBe('ra1')
  expect(turns.displace(member('rc1'))).toBeUndefined()
  expect(order(turns)).toEqual(['la1', 'lb1'])
})

test('a client that has most displaces nobody', () => {
  const turns = waiting('la1', 'la2', 'rb1', 'rc1', 'rc2')
  expect(turns.displace(member('la3'))).toBeUndefined()
  expect(turns.size).toBe(5)
})

test('among clients of one each, a login displaces a registration, and nothing else anything', () => {
  const turns = waiting('ra1', 'rb1', 'lc1')
  expect(turns.displace(member('rd1'))).toBeUndefined()
  expect(turns.displace(member('ld1'))?.name).toBe('rb1')
  expect(turns.displace(member('ld1'))?.name).toBe('ra1')
  expect(turns.displace(member('ld1'))).toBeUndefined()
})

test('a flooder does not make the turn of others look far away', () => {
  const turns = waiting(...Array.from({ length: 40 }, (_, index) => `ra${index}`))
  expect(turns.turnsBefore(member('lb1'))).toBe(0)
  expect(turns.turnsBefore(member('rb1'))).toBe(1)
  expect(turns.turnsBefore(member('ra40'))).toBe(40)
})
