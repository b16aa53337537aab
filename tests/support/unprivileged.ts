// Runs in the tests. The user for servers that tests start themselves and that refuse to run as root.
import { chown, readFile } from 'node:fs/promises'

export interface Unprivileged {
  uid?: number
  gid?: number
}

/** For root it is `nobody`, because such programs want a user that /etc/passwd knows. Otherwise it is the current user. */
export async function unprivilegedUser(): Promise<Unprivileged> {
  if (process.getuid?.() !== 0) return {}
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  const nobody = lines.find(([name]) => name === 'nobody')
  if (!nobody) throw new Error('There is no user "nobody" in /etc/passwd')
  return { uid: Number(nobody[2]), gid: Number(nobody[3]) }
}

export async function own(path: string, { uid, gid }: Unprivileged): Promise<void> {
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid)
}
