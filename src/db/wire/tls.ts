// Runs in every process that talks to PostgreSQL, for encrypted connections. Which certificates are shown, and which are
// believed.
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { type ConnectionOptions, checkServerIdentity, type PeerCertificate } from 'node:tls'
import type { TlsOptions } from '../address.ts'
import { ConnectionError } from './error.ts'

export { connect as connectTls } from 'node:tls'

/** The certificate is checked against what the address says we connect to, be it a name or an IP address. */
export async function readTlsOptions(tls: TlsOptions, name: string): Promise<ConnectionOptions> {
  const { rootCertificates: roots, certificateFile, keyFile } = tls
  const verified = tls.mode === 'verify-ca' || tls.mode === 'verify-full'
  return {
    rejectUnauthorized: verified,
    checkServerIdentity: (_name, certificate) =>
      tls.mode === 'verify-full' ? checkIdentity(name, certificate) : undefined,
    // Server Name Indication has no IP addresses.
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(verified && roots && roots !== 'system' ? { ca: await readPem('sslrootcert', roots) } : {}),
    ...(certificateFile ? { cert: await readPem('sslcert', certificateFile) } : {}),
    ...(keyFile ? { key: await readPem('sslkey', keyFile) } : {}),
  }
}

/** Node's own check of IPv6 addresses compares texts, of which each address has several. */
function checkIdentity(name: string, certificate: PeerCertificate): Error | undefined {
  if (isIP(name) === 0) return checkServerIdentity(name, certificate)
  const [address = name] = name.split('%')
  if (new X509Certificate(certificate.raw).checkIP(address) !== undefined) return undefined
  const text = `The certificate of PostgreSQL is not for ${name}`
  return new ConnectionError('ERR_TLS_CERT_ALTNAME_INVALID', text)
}

/** Read for each connection, because certificates that live for days are replaced in place. */
async function readPem(name: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    throw new ConnectionError('TLS_FILE', `Cannot read ${name} "${file}"`, error)
  }
}
