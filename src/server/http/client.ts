// Runs in listeners. Who a client is, as far as addresses tell.
import { isIPv4, isIPv6 } from 'node:net'
import parseForwarded from 'forwarded-parse'
import ipaddr from 'ipaddr.js'
import type { AddressRange } from '../config/kinds.ts'
import type { HttpResponse } from './uws.ts'

/** An IPv6 network gives each of its machines as many addresses as they like, out of its /64 (RFC 4291, 2.5.4). */
const IPV6_PREFIX_BYTES = 8
/** First bytes of an IPv4 address that is written as IPv6 (RFC 4291, 2.5.5.2). */
const MAPPED_PREFIX = '0,0,0,0,0,0,0,0,0,0,255,255'
/** Proxies before us, at most: what is further away in a header is not looked at. */
const HOPS_MAX = 16
/** An address with its port, as proxies write them; a port may be hidden behind a name (RFC 7239, 6.3). */
const IPV4_HOP = /^([\d.]+)(?::(?:\d{1,5}|_[\w.-]+))?$/
const IPV6_HOP = /^\[([^\]]+)\](?::(?:\d{1,5}|_[\w.-]+))?$/

type Address = ReturnType<typeof ipaddr.process>

/** What proxies have written into the head of a request: the combined lines of a header, empty when there are none. */
export interface ProxyHeaders {
  readonly forwarded: string
  readonly forwardedFor: string
}

/** What a client is counted by: its IPv4 address, or the /64 of its IPv6 address; empty without an address. */
export function clientKey(bytes: Uint8Array): string {
  if (bytes.length === 0) return ''
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.subarray(0, 12).join() === MAPPED_PREFIX) return bytes.subarray(12).join('.')
  const prefix = [...bytes.subarray(0, IPV6_PREFIX_BYTES)]
  const network = [...prefix, ...new Uint8Array(16 - IPV6_PREFIX_BYTES)]
  return `${ipaddr.fromByteArray(network).toString()}/64`
}

/** Tells clients by their addresses, which for connections of trusted proxies are what these report. */
export class Clients {
  readonly #proxies: readonly AddressRange[]
  readonly #onSocket: boolean

  /**
   * @param onSocket whether connections come over a unix socket: their peers have no address, and are proxies, because
   * only those get so far whom the mode of the file admits
   */
  constructor(proxies: readonly AddressRange[], onSocket = false) {
    this.#proxies = proxies
    this.#onSocket = onSocket
  }

  /** What the client of a request is counted by; empty when the connection has no address, or no more. */
  of(response: HttpResponse, headers: ProxyHeaders): string {
    const peer = new Uint8Array(response.getRemoteAddress())
    if (!this.isProxy(peer)) return clientKey(peer)
    // uWebSockets.js takes the header of the PROXY protocol from anyone, so only here it says something.
    const relayed = new Uint8Array(response.getProxiedRemoteAddress())
    return this.behindProxy(relayed.length === 0 ? peer : relayed, headers)
  }

  /** What a client is counted by whose request came from `sender`, as a trusted proxy or a connection from one says. */
  behindProxy(sender: Uint8Array, headers: ProxyHeaders): string {
    if (!this.isProxy(sender)) return clientKey(sender)
    return this.#reported(headers) ?? clientKey(sender)
  }

  /** Whether an address, in the order of the network, is that of a trusted proxy. */
  isProxy(bytes: Uint8Array): boolean {
    if (bytes.length === 0) return this.#onSocket
    if (this.#proxies.length === 0) return false
    return this.#trusts(ipaddr.process(ipaddr.fromByteArray([...bytes]).toString()))
  }

  /**
   * The client that both headers name, or the only one that is there. A proxy usually writes one of them and lets the
   * other pass: when they differ, one may come from the client itself, so neither counts.
   */
  #reported({ forwarded, forwardedFor }: ProxyHeaders): string | undefined {
    if (forwarded === '') return this.#clientOf(forwardedFor.split(','))
    const client = this.#clientOf(hopsOf(forwarded))
    if (forwardedFor === '') return client
    return client === this.#clientOf(forwardedFor.split(',')) ? client : undefined
  }

  /** The nearest hop that is not a proxy. Undefined when a hop that a proxy reported is not an address. */
  #clientOf(hops: readonly (string | undefined)[]): string | undefined {
    let last: Address | undefined
    for (const hop of hops.slice(-HOPS_MAX).toReversed()) {
      last = readHop(hop)
      if (!last) return undefined
      if (!this.#trusts(last)) break
    }
    return last && clientKey(Uint8Array.from(last.toByteArray()))
  }

  #trusts(address: Address): boolean {
    return this.#proxies.some(
      ([network, bits]) => network.kind() === address.kind() && address.match(network, bits),
    )
  }
}

/** The `for` of each hop in a `Forwarded` header (RFC 7239); none when it is malformed. */
function hopsOf(forwarded: string): readonly (string | undefined)[] {
  try {
    return parseForwarded(forwarded).map((hop) => hop.for)
  } catch {
    return []
  }
}

/** Undefined for a hop that is hidden, unknown or malformed. */
function readHop(hop: string | undefined): Address | undefined {
  const text = hop?.trim() ?? ''
  const ipv4 = IPV4_HOP.exec(text)?.[1]
  if (ipv4 !== undefined) return isIPv4(ipv4) ? ipaddr.process(ipv4) : undefined
  const ipv6 = IPV6_HOP.exec(text)?.[1] ?? text
  return isIPv6(ipv6) ? ipaddr.process(ipv6) : undefined
}
