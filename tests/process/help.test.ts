// What the commands say about themselves, and to whoever mistypes them.
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { runMain } from '../support/service.ts'

const COLUMNS = 100
/** A terminal in a window of a common size. */
const ROWS = 55

async function run(...words: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const command = await runMain({}, words)
  const out = command.child.stdout ? await text(command.child.stdout) : ''
  const { code } = await command.exited
  return { code, out, err: command.stderr() }
}

/** As the list of commands has them, without their arguments. */
function commandsOf(help: string): string[] {
  const terms = help.matchAll(/^ {2}([a-z]+(?: [a-z]+)?)(?: [[<].*?[\]>])? {2,}\S/gm)
  return [...terms].map(([, name = '']) => name)
}

describe('--help', () => {
  test('has every command on one screen, also those of commands, with examples', async () => {
    const { code, out } = await run('--help')
    expect(code).toBe(0)
    const lines = out.split('\n')
    expect(lines.length).toBeLessThanOrEqual(ROWS)
    expect(lines.filter((line) => line.length > COLUMNS)).toEqual([])
    expect(commandsOf(out)).toEqual(
      expect.arrayContaining(['serve', 'dev', 'doctor', 'migrate', 'migrate status', 'restore']),
    )
    expect(out).toContain('Examples:')
  })

  test('of each command has examples', async () => {
    const { out } = await run('--help')
    const names = commandsOf(out).filter((name) => !['help', 'settings', 'taskapi'].includes(name))
    expect(names.length).toBeGreaterThan(9)
    for (const name of names) {
      const { code, out: help } = await run(...name.split(' '), '--help')
      expect({ name, code }).toEqual({ name, code: 0 })
      expect(help, name).toMatch(/^Examples:\n {2}\S/m)
    }
  })
})

test.each([['settings'], ['openapi'], ['--help']])(
  '"%s" ends without a word when its reader has enough',
  async (word) => {
    const command = await runMain({}, [word])
    command.child.stdout?.destroy()
    expect(await command.exited).toEqual({ code: 0, signal: null })
    expect(command.stderr()).toBe('')
  },
)

test('"settings" explains every setting', async () => {
  const { code, out } = await run('settings')
  expect(code).toBe(0)
  const names = (await readFile('.env.example', 'utf8')).match(/^#[A-Z_]+(?==)/gm) ?? []
  for (const name of names) expect(out).toMatch(new RegExp(`^ {2}${name.slice(1)} `, 'm'))
  expect(out).toContain('Accepted: an integer from 1 to 64')
})

test.each([
  ['docter', 'Did you mean doctor?'],
  ['helthcheck', 'Did you mean healthcheck?'],
  ['migrate staus', 'Did you mean migrate status?'],
  ['migrate status --jsno', 'Did you mean --json?'],
  ['backup --ouput file', 'Did you mean --output?'],
  ['--server-port 9000', 'they come from the environment or a .env file'],
])('"%s" is refused with a hint, and does nothing', async (words, hint) => {
  const { code, out, err } = await run(...words.split(' '))
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err).toContain(hint)
  expect(err).toContain('See "taskapi --help"')
})
