// Runs in listeners. Who a client is, as far as its address tells.
import ipaddr from 'ipaddr.js'
import type { HttpResponse } from './uws.ts'

/** An IPv6 network gives each of its machines as many addresses as they like, out of its /64 (RFC 4291, 2.5.4). */
const IPV6_PREFIX_BYTES = 8

/** What a client is counted by: its IPv4 address, or the /64 of its IPv6 address; empty when it has no address. */
export function clientOf(response: HttpResponse): string {
  const bytes = new Uint8Array(response.getRemoteAddress())
  return bytes.length === 0 ? '' : shareOf(bytes)
}

/** @param bytes 4 or 16, in the order of the network */
function shareOf(bytes: Uint8Array): string {
  const address = ipaddr.process(ipaddr.fromByteArray([...bytes]).toString())
  if (address.kind() === 'ipv4') return address.toString()
  const prefix = [...bytes.subarray(0, IPV6_PREFIX_BYTES)]
  const network = [...prefix, ...new Uint8Array(16 - IPV6_PREFIX_BYTES)]
  return `${ipaddr.fromByteArray(network).toString()}/64`
}
