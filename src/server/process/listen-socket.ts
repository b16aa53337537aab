// Runs in listeners. The listen socket: a port that several listeners share, or a unix socket, which has one.
import { chmodSync, rmSync } from 'node:fs'
import type { Config } from '../config/config.ts'
import { isSocketPath } from '../config/kinds.ts'
import type { TemplatedApp, us_listen_socket } from '../http/uws.ts'

/** Who may connect to a unix socket: the user and the group of its file. Made for its user alone by uWebSockets.js. */
const SOCKET_MODE = 0o660

/** Resolves when the app accepts connections. */
export function listen(
  app: TemplatedApp,
  { SERVER_HOST, SERVER_PORT }: Config,
): Promise<us_listen_socket> {
  return new Promise((resolve, reject) => {
    const settle = (socket: us_listen_socket | false) => {
      if (socket) resolve(socket)
      else reject(new Error(`Cannot listen on ${SERVER_HOST} ${SERVER_PORT}`))
    }
    if (isSocketPath(SERVER_HOST)) {
      app.listen_unix(settle, SERVER_HOST)
      chmodSync(SERVER_HOST, SOCKET_MODE)
    } else {
      app.listen(SERVER_HOST, SERVER_PORT, settle)
    }
  })
}

/** The file of a unix socket outlives it. */
export function removeSocket({ SERVER_HOST }: Config): void {
  if (isSocketPath(SERVER_HOST)) rmSync(SERVER_HOST, { force: true })
}
