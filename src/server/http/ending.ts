// Runs in listeners. Whether a connection ends with an answer, and how.
import type { Exchange } from './exchange.ts'

/** True when the connection cannot serve another request behind this one. */
export function mustEnd({ untrusted, head, bodyBytes, continued, host }: Exchange): boolean {
  if (untrusted !== undefined || head.chunked || head.unframed || head.closesByList) return true
  if (head.contentLength <= bodyBytes) return false
  // A client that waits for the interim answer and gets the final one may keep its body, or send it.
  if (head.expectsContinue && !continued) return true
  return head.contentLength - bodyBytes > host.dropBytesMax
}

/** Decides whether the connection ends with this answer, and how. */
export function decideEnding(exchange: Exchange): void {
  const { host, head, payload, headOnly } = exchange
  const bodyless = payload === undefined || headOnly
  if (mustEnd(exchange) || (bodyless && host.closesBodyless())) {
    exchange.ending = 'ours'
  } else if (head.closes) {
    exchange.ending = 'asked'
  } else if (host.options.lifecycle.state === 'closing') {
    exchange.ending = bodyless ? 'ours' : 'closing'
  }
}
