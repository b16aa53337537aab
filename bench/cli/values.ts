// Reads the values of options, and refuses every other one before anything starts.
import { accessSync, constants, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { InvalidArgumentError } from 'commander'

interface Named {
  name: string
}

/** A whole number in plain digits. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`)
  }
}

/** A number in plain digits, with or without a decimal point. */
export function decimalNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`Expected a number from ${min} to ${max}.`)
  }
}

/** Comma-separated names of some of `all`. Returns those, in the order of `all`. */
export function someOf<T extends Named>(all: readonly T[]): (text: string) => T[] {
  return (text) => {
    const wanted = text.split(',').map((name) => name.trim())
    const unknown = wanted.filter((name) => !all.some((item) => item.name === name))
    if (unknown.length === 0) return all.filter(({ name }) => wanted.includes(name))
    const quoted = unknown.map((name) => `"${name}"`).join(', ')
    throw new InvalidArgumentError(`Unknown: ${quoted}. There are ${joinNames(all)}.`)
  }
}

/** One of `names`. */
export function oneOf(names: readonly string[]): (text: string) => string {
  return (text) => {
    if (names.includes(text)) return text
    throw new InvalidArgumentError(`There are ${names.join(', ')}.`)
  }
}

/** A folder that exists or can be made: better refused now than when all is measured. */
export function outputFolder(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('Expected the path of a folder.')
  const folder = resolve(text)
  for (let place = folder; ; place = dirname(place)) {
    const found = statSync(place, { throwIfNoEntry: false })
    if (!found && place !== dirname(place)) continue
    if (!found?.isDirectory()) throw new InvalidArgumentError(`"${place}" is not a folder.`)
    if (!isWritable(place)) throw new InvalidArgumentError(`"${place}" cannot be written to.`)
    return folder
  }
}

/** The origin of a service. Only http, because raw sockets send the open loop. */
export function httpOrigin(text: string): string {
  const url = URL.parse(text)
  if (url?.protocol === 'http:' && url.href === `${url.origin}/`) return url.origin
  throw new InvalidArgumentError(
    'Expected the URL of a service without a path, such as http://localhost:8080.',
  )
}

export function joinNames(all: readonly Named[]): string {
  return all.map(({ name }) => name).join(', ')
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}
