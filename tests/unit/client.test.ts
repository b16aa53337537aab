import { describe, expect, test } from 'vitest'
import { parseConfig } from '../../src/server/config/config.ts'
import { Clients, clientKey } from '../../src/server/http/client.ts'

const PEER = Uint8Array.from([10, 0, 0, 1])
const PEER_KEY = '10.0.0.1'

function clientsBehind(proxies: string): Clients {
  return new Clients(parseConfig({ TRUSTED_PROXIES: proxies }).TRUSTED_PROXIES ?? [])
}

const clients = clientsBehind('10.0.0.0/8, 2001:db8:ffff::/48')

function fromForwardedFor(forwardedFor: string): string {
  return clients.behindProxy(PEER, { forwarded: '', forwardedFor })
}

function fromForwarded(forwarded: string): string {
  return clients.behindProxy(PEER, { forwarded, forwardedFor: '' })
}

test.each([
  [[192, 0, 2, 1], '192.0.2.1'],
  [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1], '192.0.2.1'],
  [[0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10], '2001:db8:1:2::/64'],
  [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], '::/64'],
])('a client is counted by its IPv4 address or its IPv6 network: %j', (bytes, key) => {
  expect(clientKey(Uint8Array.from(bytes))).toBe(key)
})

test('a peer without an address is a proxy on a unix socket only', () => {
  const nobody = new Uint8Array()
  const headers = { forwarded: '', forwardedFor: '192.0.2.1' }
  const onSocket = new Clients([], true)
  expect(onSocket.isProxy(nobody)).toBe(true)
  expect(onSocket.behindProxy(nobody, headers)).toBe('192.0.2.1')
  expect(onSocket.isProxy(PEER)).toBe(false)
  expect(clients.isProxy(nobody)).toBe(false)
  expect(clients.behindProxy(nobody, headers)).toBe('')
})

describe('X-Forwarded-For', () => {
  test.each([
    ['one address', '192.0.2.1', '192.0.2.1'],
    ['a port', '192.0.2.1:5678', '192.0.2.1'],
    ['IPv6', '2001:db8:1:2::7', '2001:db8:1:2::/64'],
    ['IPv6 in brackets', '[2001:db8:1:2::7]', '2001:db8:1:2::/64'],
    ['IPv6 with a port', '[2001:db8:1:2::7]:443', '2001:db8:1:2::/64'],
    ['IPv4 written as IPv6', '::ffff:192.0.2.1', '192.0.2.1'],
    ['a further proxy', '192.0.2.1, 10.9.9.9', '192.0.2.1'],
    ['a further proxy of IPv6', '192.0.2.1,2001:db8:ffff::1', '192.0.2.1'],
    ['what the client has written itself', '198.51.100.1, 10.2.2.2, 192.0.2.1', '192.0.2.1'],
    ['garbage before the address that counts', 'x"y, unknown, 192.0.2.1', '192.0.2.1'],
    ['proxies only', '10.9.9.9, 10.8.8.8', '10.9.9.9'],
    ['too many proxies', `192.0.2.1${',10.9.9.9'.repeat(16)}`, '10.9.9.9'],
  ])('the nearest address that is no proxy counts: %s', (_, header, key) => {
    expect(fromForwardedFor(header)).toBe(key)
  })

  test.each([
    ['nothing', ''],
    ['a comma', ','],
    ['unknown', '192.0.2.1, unknown'],
    ['a hidden name', '192.0.2.1, _gazonk'],
    ['no address', '192.0.2.1, example.com'],
    ['an empty item', '192.0.2.1,'],
    ['a short form of an address', '127.1'],
    ['a number', '3221225985'],
    ['octal digits', '0300.0.2.1'],
    ['too large', '192.0.2.256'],
    ['half a bracket', '[2001:db8::1'],
    ['IPv4 in brackets', '[192.0.2.1]'],
    ['a port that is none', '192.0.2.1:http'],
    ['two addresses without a comma', '192.0.2.1 192.0.2.2'],
    ['what is no address behind a proxy', '192.0.2.1, nobody, 10.9.9.9'],
  ])('what is not an address makes the peer count: %s', (_, header) => {
    expect(fromForwardedFor(header)).toBe(PEER_KEY)
  })
})

describe('Forwarded', () => {
  test.each([
    ['a token', 'for=192.0.2.1', '192.0.2.1'],
    ['other parameters', 'by=10.0.0.1;For=192.0.2.1;proto=https;host=example.com', '192.0.2.1'],
    ['quotes and a port', 'for="192.0.2.1:47011"', '192.0.2.1'],
    ['a hidden port', 'for="192.0.2.1:_p"', '192.0.2.1'],
    ['IPv6', 'for="[2001:db8:1:2::7]"', '2001:db8:1:2::/64'],
    ['IPv6 with a port', 'for="[2001:db8:1:2::7]:47011"', '2001:db8:1:2::/64'],
    ['a chain', 'for=198.51.100.1, for=192.0.2.1;proto=http, for=10.3.3.3', '192.0.2.1'],
  ])('the nearest address that is no proxy counts: %s', (_, header, key) => {
    expect(fromForwarded(header)).toBe(key)
  })

  test.each([
    ['unknown', 'for=192.0.2.1, for=unknown'],
    ['a hidden name', 'for=192.0.2.1, for="_gazonk"'],
    ['no for', 'for=192.0.2.1, proto=https'],
    ['IPv6 without quotes', 'for=2001:db8::1'],
    ['an open quote', 'for="192.0.2.1'],
    ['no parameter at all', '192.0.2.1'],
    ['a backslash', 'for=192.0.2.1\\'],
  ])('what is hidden or malformed makes the peer count: %s', (_, header) => {
    expect(fromForwarded(header)).toBe(PEER_KEY)
  })
})

test('when both headers are there, they count only if they agree', () => {
  const forwarded = 'for=192.0.2.1'
  const of = (forwardedFor: string) => clients.behindProxy(PEER, { forwarded, forwardedFor })
  expect(of('192.0.2.1')).toBe('192.0.2.1')
  expect(of('198.51.100.1')).toBe(PEER_KEY)
  expect(of('nobody')).toBe(PEER_KEY)
})

test('a peer that is not trusted is the client, whatever it writes', () => {
  const headers = { forwarded: 'for=192.0.2.1', forwardedFor: '192.0.2.1' }
  expect(clients.behindProxy(Uint8Array.from([192, 168, 0, 1]), headers)).toBe('192.168.0.1')
  expect(new Clients([]).behindProxy(PEER, headers)).toBe(PEER_KEY)
})

test.each([
  ['loopback', [127, 9, 9, 9], true],
  ['loopback', [10, 0, 0, 1], false],
  ['loopback', [...Array<number>(15).fill(0), 1], true],
  ['private', [172, 31, 0, 1], true],
  ['private', [172, 32, 0, 1], false],
  ['private, 192.0.2.7', [192, 0, 2, 7], true],
  ['192.0.2.7', [192, 0, 2, 8], false],
  ['192.0.2.7', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 7], true],
  ['2001:db8::/32', [0x20, 1, 0xd, 0xb8, ...Array<number>(12).fill(1)], true],
])('TRUSTED_PROXIES=%s and %j', (proxies, bytes, trusted) => {
  expect(clientsBehind(proxies).isProxy(Uint8Array.from(bytes))).toBe(trusted)
})

test.each([
  'any',
  '10.0.0.0/33',
  '10.0.0.0/',
  '10/8',
  '10.0.0.1/8/8',
  '::1/129',
  'fe80::1%eth0',
  '::ffff:10.0.0.0/104',
  ',',
])('TRUSTED_PROXIES=%s is refused', (TRUSTED_PROXIES) => {
  expect(() => parseConfig({ TRUSTED_PROXIES })).toThrow('TRUSTED_PROXIES')
})
