// Times: RFC 3339, section 5.6.
import { type Case, send, TASKS, utf8 } from '../case.ts'

const due = (text: string) =>
  send('POST', TASKS, utf8(JSON.stringify({ title: 'x', due_at: text })))

export const times: readonly Case[] = [
  ['a time in UTC', '2026-12-24T18:00:00Z', 201],
  ['a time with an offset', '2026-12-24T18:00:00+05:30', 201],
  ['a time with an unknown offset', '2026-12-24T18:00:00-00:00', 201],
  ['a time in small letters', '2026-12-24t18:00:00z', 201],
  ['nine digits of a second', '2026-12-24T18:00:00.123456789Z', 201],
  ['ten digits of a second', '2026-12-24T18:00:00.1234567890Z', 400],
  ['no offset', '2026-12-24T18:00:00', 400],
  ['a date alone', '2026-12-24', 400],
  ['a space instead of T', '2026-12-24 18:00:00Z', 400],
  ['no seconds', '2026-12-24T18:00Z', 400],
  ['29 February', '2024-02-29T00:00:00Z', 201],
  ['29 February of another year', '2026-02-29T00:00:00Z', 400],
  ['29 February of 1900', '1900-02-29T00:00:00Z', 400],
  ['31 April', '2026-04-31T00:00:00Z', 400],
  ['a month of 13', '2026-13-01T00:00:00Z', 400],
  ['a month of 0', '2026-00-01T00:00:00Z', 400],
  ['hour 24', '2026-12-24T24:00:00Z', 400],
  ['a leap second', '2016-12-31T23:59:60Z', 400],
  ['an offset of 15:59', '2026-12-24T18:00:00+15:59', 201],
  ['an offset of 24:00', '2026-12-24T18:00:00+24:00', 400],
  ['the first instant', '0001-01-01T00:00:00Z', 201],
  ['the year 0000', '0000-06-01T00:00:00Z', 400],
  ['the year 0000 with an offset into 0001', '0000-12-31T23:00:00-01:00', 400],
  ['the year 0001 with an offset into 0000', '0001-01-01T00:00:00+01:00', 400],
  ['the last instant', '9999-12-31T23:59:58Z', 201],
  ['an offset beyond the year 9999', '9999-12-31T23:59:59-01:00', 400],
  ['a year of five digits', '10000-01-01T00:00:00Z', 400],
  ['a negative year', '-0001-01-01T00:00:00Z', 400],
  ['infinity', 'infinity', 400],
  ['now', 'now', 400],
  ['an empty time', '', 400],
  ['digits of another script', '٢٠٢٦-12-24T18:00:00Z', 400],
].map(([name = '', text = '', expect]) => ({
  name: String(name),
  why: 'RFC 3339, 5.6',
  bytes: due(String(text)),
  expect: Number(expect),
}))
