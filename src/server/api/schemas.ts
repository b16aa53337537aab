// Runs in listeners and in `openapi`. The shapes that several routes share.
import * as Type from '@sinclair/typebox'
import { FormatRegistry } from '@sinclair/typebox'
import { decodeCursor } from '../../db/cursor.ts'
import { isInstant } from '../../db/instant.ts'
import { EXPECTED } from '../http/validate.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
/** The pattern of HTML's e-mail input (WHATWG HTML, 4.10.5.1.5), with at least one dot in the domain. */
const EMAIL =
  /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+$/i
/** RFC 5321, 4.5.3.1: the longest path is 256 octets with its two brackets. */
export const EMAIL_LENGTH_MAX = 254
export const EMAIL_EXAMPLES = ['ada@example.com']

FormatRegistry.Set('uuid', (text) => UUID.test(text))
FormatRegistry.Set('email', (text) => EMAIL.test(text))
FormatRegistry.Set('date-time', isInstant)
FormatRegistry.Set('cursor', (text) => decodeCursor(text) !== undefined)

export const Uuid = Type.String({ format: 'uuid', [EXPECTED]: 'a UUID' })
export const Email = Type.String({
  maxLength: EMAIL_LENGTH_MAX,
  format: 'email',
  examples: EMAIL_EXAMPLES,
  [EXPECTED]: `an e-mail address of at most ${EMAIL_LENGTH_MAX} characters`,
})
export const Instant = Type.String({
  format: 'date-time',
  examples: ['2026-12-24T18:00:00Z'],
  [EXPECTED]: 'a valid RFC 3339 date-time, such as 2026-12-24T18:00:00Z',
})
export const CursorText = Type.String({
  format: 'cursor',
  description:
    'From the `Link` of the previous page; as fast on any page; not together with `offset`',
  [EXPECTED]: 'the cursor from the Link of a page',
})
