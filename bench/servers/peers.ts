// The peers of bench/peers: the same API, or its JSON part, on other frameworks.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../root.ts'
import { JWT_SECRET } from './database.ts'
import type { ServerKind } from './kind.ts'

const PEERS = join(ROOT, 'bench/peers')

/** In the order of their names. */
export function listPeers(): ServerKind[] {
  return readdirSync(PEERS)
    .filter((name) => existsSync(join(PEERS, name, 'peer.json')))
    .map((name) => {
      const folder = join(PEERS, name)
      const peer = JSON.parse(readFileSync(join(folder, 'peer.json'), 'utf8'))
      return {
        name: peer.name,
        language: peer.language,
        serves: peer.serves,
        versions: peer.versions,
        folder,
        readsPlainTokens: true,
        command: peer.start,
        toolchain: peer.toolchain,
        build: peer.build,
        env: ({ port, databaseUrl }) => ({
          PORT: String(port),
          WORKERS: String(availableParallelism()),
          JWT_SECRET,
          NODE_ENV: 'production',
          ...peer.env,
          ...(databaseUrl ? { DATABASE_URL: databaseUrl } : {}),
        }),
      }
    })
}
