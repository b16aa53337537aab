// Runs in the command `doctor`. Whether the database can be reached; if so, whether it is fit for the service.
import type { Address } from '../../../db/address.ts'
import { pinnedSettings, startSettings } from '../../../db/session.ts'
import { openTextSession, type TextSession } from '../../../db/wire/text-session.ts'
import type { Config } from '../../config/config.ts'
import { type Check, type Finding, type Found, ok, runChecks } from './check.ts'
import { FITNESS } from './fitness.ts'
import { explainUnreachable } from './unreachable.ts'

/** Less than a check may take, so that what is late is named. */
const CONNECT_MS_MAX = 4000
/** PostgreSQL's code for a server that only reads. */
const READ_ONLY = '25006'
const NAME = 'database'

/** @param address the one of the settings, or that of the local PostgreSQL */
export async function checkDatabase(address: Address, config: Config): Promise<Finding[]> {
  let session: TextSession | undefined
  const reach: Check = {
    name: NAME,
    run: async (signal) => {
      const reached = await open(address, config, signal)
      session = reached.session
      return reached.found
    },
  }
  const found = await runChecks([reach])
  const opened = session
  if (!opened) return [...found, skipDatabase('there is no connection')]
  const subject = { address, config, session: opened }
  const checks = Object.entries(FITNESS).map(([name, run]) => ({ name, run: () => run(subject) }))
  try {
    return [...found, ...(await runChecks(checks))]
  } finally {
    opened.end()
  }
}

export function skipDatabase(reason: string): Finding {
  const names = Object.keys(FITNESS).join(', ')
  return { check: NAME, level: 'skipped', found: `Not checked, because ${reason}: ${names}` }
}

/** As requests do it; where that finds only a standby, any server that answers, for the other checks. */
async function open(
  address: Address,
  config: Config,
  signal: AbortSignal,
): Promise<{ session?: TextSession; found: Found }> {
  const { connectTimeoutMs = CONNECT_MS_MAX, ...others } = address
  const settings = pinnedSettings({
    statementTimeoutMs: config.DB_STATEMENT_TIMEOUT_MS,
    applicationName: 'taskapi doctor',
  })
  const options = {
    connectTimeoutMs: Math.min(connectTimeoutMs, CONNECT_MS_MAX / address.hosts.length),
    parameters: startSettings(settings),
    signal,
  }
  try {
    const session = await openTextSession(others, options)
    const hosts = address.hosts.map(({ name, port }) => `${name} port ${port}`).join(', ')
    return { session, found: ok(`"${address.database}" answers (${hosts})`) }
  } catch (error) {
    const found = explainUnreachable(error)
    if (!(error instanceof Error && 'code' in error && error.code === READ_ONLY)) return { found }
    return { session: await openTextSession({ ...others, targetSession: 'any' }, options), found }
  }
}
