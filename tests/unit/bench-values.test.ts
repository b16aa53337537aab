import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { expect, test } from 'vitest'
import {
  decimalNumber,
  httpOrigin,
  oneOf,
  outputFolder,
  someOf,
  wholeNumber,
} from '../../bench/cli/values.ts'

const NO_NUMBERS = ['', ' ', 'abc', '1e3', 'Infinity', 'NaN', '0x10', '-1', '+1', ' 1', '1 ', '1,5']
const SCENARIOS = [{ name: 'json' }, { name: 'mixed' }, { name: 'login' }]

test.each([...NO_NUMBERS, '0', '1.5', '1.0', '11', '9'.repeat(30)])(
  'a whole number from 1 to 10 is not %j',
  (text) => {
    expect(() => wholeNumber(1, 10)(text)).toThrow(InvalidArgumentError)
  },
)

test.each([...NO_NUMBERS, '0', '0.09', '10.1', '.5', '5.', '1.2.3'])(
  'a number from 0.1 to 10 is not %j',
  (text) => {
    expect(() => decimalNumber(0.1, 10)(text)).toThrow(InvalidArgumentError)
  },
)

test('numbers are read from their smallest to their largest', () => {
  expect(['1', '7', '10'].map(wholeNumber(1, 10))).toEqual([1, 7, 10])
  expect(['0.1', '7', '2.50', '10'].map(decimalNumber(0.1, 10))).toEqual([0.1, 7, 2.5, 10])
})

test('names are read into the things that they name, in the usual order and each once', () => {
  const read = someOf(SCENARIOS)
  expect(read('login, json,login')).toEqual([{ name: 'json' }, { name: 'login' }])
})

test.each(['', 'jsn', 'json,', ',json', 'json,,mixed', 'json mixed'])(
  'names are refused when one of them is unknown: %j',
  (text) => {
    expect(() => someOf(SCENARIOS)(text)).toThrow(/Unknown: ".*"\. There are json, mixed, login\./)
    expect(() => oneOf(['json', 'mixed'])(text)).toThrow('There are json, mixed.')
  },
)

test('one name is read as it is', () => {
  expect(oneOf(['json', 'mixed'])('mixed')).toBe('mixed')
})

test('a folder for the report must exist, or it must be possible to make it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-test-'))
  const file = join(folder, 'file')
  await writeFile(file, '')
  expect(outputFolder(folder)).toBe(folder)
  expect(outputFolder(join(folder, 'new/deep'))).toBe(join(folder, 'new/deep'))
  expect(() => outputFolder(file)).toThrow('is not a folder')
  expect(() => outputFolder(join(file, 'new'))).toThrow('is not a folder')
  expect(() => outputFolder(' ')).toThrow('Expected the path of a folder')
  await rm(folder, { recursive: true })
})

test.each(['', 'localhost:8080', 'https://a.example', 'ftp://a.example', 'http://a.example/api'])(
  'a service to measure has a plain HTTP origin, which %j is not',
  (text) => {
    expect(() => httpOrigin(text)).toThrow(InvalidArgumentError)
  },
)

test('the origin of a service has no slash at its end', () => {
  expect(httpOrigin('http://localhost:8080/')).toBe('http://localhost:8080')
})
