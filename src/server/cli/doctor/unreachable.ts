// Runs in the command `doctor`. Why a database cannot be reached, in words.
import { describe } from '../target.ts'
import { type Found, fail } from './check.ts'

const START = 'start PostgreSQL, or correct the host and the port in DATABASE_URL'
const NAME = 'correct the host in DATABASE_URL, or the name service of this machine'
const ROUTE = 'correct the host and the port in DATABASE_URL, or open the firewall between the two'
const PASSWORD =
  'correct user and password in DATABASE_URL; what is not a letter or digit is percent-encoded'
const AUTHORITY =
  'let sslrootcert in DATABASE_URL name the file of the authority that has signed it, or use sslmode=require, which checks nothing'

/** By the codes of Node, of the wire client and of PostgreSQL. */
const CAUSES: Readonly<Record<string, readonly [words: string, fix: string]>> = {
  ECONNREFUSED: ['the machine answers, but nothing listens on that port', START],
  ENOENT: ['there is no unix socket', START],
  EACCES: ['this user may not use the unix socket', 'run it as a user who may'],
  ENOTFOUND: ['there is no host of that name', NAME],
  EAI_AGAIN: ['the name of the host cannot be looked up now', NAME],
  CONNECT_TIMEOUT: ['nothing answers; a firewall may drop what is sent', ROUTE],
  ETIMEDOUT: ['nothing answers; a firewall may drop what is sent', ROUTE],
  EHOSTUNREACH: ['there is no way to that host', ROUTE],
  ENETUNREACH: ['there is no way to the network of that host', ROUTE],
  ECONNRESET: ['the connection was cut', 'look whether it is PostgreSQL that listens there'],
  CONNECTION_CLOSED: [
    'what listens there ends the connection',
    'look whether it is PostgreSQL that listens there, and into its log',
  ],
  PROTOCOL_VIOLATION: [
    'what listens there is not PostgreSQL',
    'correct the host and the port in DATABASE_URL',
  ],
  TLS_REFUSED: [
    'sslmode asks for TLS, which the server does not offer',
    'switch it on in the server (ssl = on), or use sslmode=disable on a network that you trust',
  ],
  TLS_FILE: ['a file of certificates cannot be read', 'correct its path in DATABASE_URL'],
  AUTHENTICATION_FAILED: ['the server and this client agree on no way to sign in', PASSWORD],
  '28P01': ['the server does not accept user and password', PASSWORD],
  '28000': [
    'the server does not let this user in from here',
    'correct the user in DATABASE_URL, or add a line to pg_hba.conf of the server',
  ],
  '08P01': ['a pooler refuses the connection', `${PASSWORD}; its log has the reason`],
  '3D000': ['the database does not exist', 'make it with "createdb", or correct DATABASE_URL'],
  '53300': [
    'the server has no connections left',
    'raise max_connections of the server, or end clients of it',
  ],
  '57P03': ['the server is starting or stopping', 'wait until it has started'],
  '25006': [
    'the server is a standby that only reads',
    'name the primary in DATABASE_URL, or all hosts: postgres://user:password@one,two/database',
  ],
  CERT_HAS_EXPIRED: ['the certificate of the server has expired', 'renew it'],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    'the certificate of the server is for another host',
    'use the name that it is for in DATABASE_URL, or sslmode=verify-ca',
  ],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['the certificate of the server signs itself', AUTHORITY],
  SELF_SIGNED_CERT_IN_CHAIN: ['an unknown authority signed the certificate', AUTHORITY],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['an unknown authority signed the certificate', AUTHORITY],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['an unknown authority signed the certificate', AUTHORITY],
}

export function explainUnreachable(error: unknown): Found {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const [words, fix] = CAUSES[code] ?? ['it cannot be used', 'see docs/providers.md']
  return fail(`${describe(error)}: ${words}`, fix)
}
