// Stands between a client and an HTTP server and does what networks and overloaded servers do. Requests go through unaltered, the
// Host too, which a signature covers.

import { once } from 'node:events'
import * as http from 'node:http'
import type { Prng } from '#test/support/sim/prng.ts'

export type ProxyFault =
  /** The server does not see the request. */
  | { readonly kind: 'answer'; readonly status: number; readonly body?: string; readonly type?: string }
  /** The server does not see the request, and there is no answer. */
  | { readonly kind: 'hang' }
  /** The connection ends instead of taking the request. */
  | { readonly kind: 'reset' }
  /** The server does what is asked, and the connection ends instead of an answer. */
  | { readonly kind: 'lose' }
  /** There is no answer, and the server gets the request later. */
  | { readonly kind: 'late'; readonly afterMs: number }
  /** The connection ends when so many bytes of the answer are through. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** So many bytes of the answer come, then nothing. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  | { readonly kind: 'slow'; readonly delayMs: number }

export interface ProxiedRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
}

export type ChooseFault = (request: ProxiedRequest) => ProxyFault | null

export interface FaultProxy {
  readonly endpoint: string
  onRequest: ChooseFault
  /** Requests that came. */
  readonly requests: number
  close(): Promise<void>
}

const HOST = '127.0.0.1'

export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const proxy = new HttpProxy(new URL(target))
  await proxy.listen()
  return proxy
}

/** Each kind of fault with a probability of its own; the rest goes through. */
export function faultsByChance(prng: Prng, chances: Partial<Record<ProxyFault['kind'], number>>): ChooseFault {
  return () => {
    for (const [kind, chance] of Object.entries(chances) as [ProxyFault['kind'], number][]) {
      if (prng.chance(chance)) return someFault(kind, prng)
    }
    return null
  }
}

function someFault(kind: ProxyFault['kind'], prng: Prng): ProxyFault {
  switch (kind) {
    case 'answer':
      return { kind, status: prng.pick([500, 503, 503, 503]) }
    case 'late':
      return { kind, afterMs: prng.between(0, 30_000) }
    case 'cut':
    case 'stall':
      return { kind, afterBytes: prng.between(0, prng.pick([100, 100_000, 5_000_000])) }
    case 'slow':
      return { kind, delayMs: prng.between(0, 2_000) }
    default:
      return { kind }
  }
}

class HttpProxy implements FaultProxy {
  onRequest: ChooseFault = () => null
  requests = 0
  readonly #target: URL
  readonly #server: http.Server
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 256 })
  readonly #timers = new Set<NodeJS.Timeout>()

  constructor(target: URL) {
    this.#target = target
    this.#server = http.createServer((request, response) => this.#handle(request, response))
  }

  get endpoint(): string {
    return `http://${HOST}:${(this.#server.address() as { port: number }).port}`
  }

  async listen(): Promise<void> {
    this.#server.listen(0, HOST)
    await once(this.#server, 'listening')
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#server.close()
    this.#server.closeAllConnections()
    this.#agent.destroy()
  }

  #handle(request: http.IncomingMessage, response: http.ServerResponse): void {
    this.requests++
    request.on('error', () => {})
    response.on('error', () => {})
    const fault = this.onRequest({ method: request.method ?? '', path: request.url ?? '' })
    switch (fault?.kind) {
      case 'answer':
        request.resume().on('end', () => {
          response.writeHead(fault.status, { 'content-type': fault.type ?? 'text/html' }).end(fault.body ?? '')
        })
        return
      case 'hang':
        request.resume()
        return
      case 'reset':
        request.socket.destroy()
        return
      case 'late':
        this.#later(request, fault.afterMs)
        return
      case 'slow':
        this.#after(fault.delayMs, () => this.#forward(request, response, null))
        return
      default:
        this.#forward(request, response, fault ?? null)
    }
  }

  #forward(request: http.IncomingMessage, response: http.ServerResponse, fault: ProxyFault | null): void {
    const upstream = this.#request(request, answer => {
      if (fault?.kind === 'lose') {
        answer.resume().on('end', () => request.socket.destroy())
        return
      }
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      if (fault?.kind === 'cut' || fault?.kind === 'stall') this.#passPart(answer, response, fault)
      else answer.pipe(response)
      answer.on('error', () => response.destroy())
    })
    upstream.on('error', () => request.socket.destroy())
    // Who goes away takes an unfinished request along.
    response.on('close', () => response.writableFinished || upstream.destroy())
    request.pipe(upstream)
  }

  #passPart(
    answer: http.IncomingMessage,
    response: http.ServerResponse,
    { kind, afterBytes }: { kind: 'cut' | 'stall'; afterBytes: number },
  ): void {
    let leftBytes = afterBytes
    response.flushHeaders()
    answer.on('data', (chunk: Buffer) => {
      if (leftBytes > 0) response.write(chunk.subarray(0, leftBytes))
      leftBytes -= chunk.length
    })
    answer.on('end', () => {
      if (leftBytes >= 0) response.end()
      else if (kind === 'cut') response.write('', () => response.destroy())
    })
  }

  #later(request: http.IncomingMessage, afterMs: number): void {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      this.#after(afterMs, () => {
        const upstream = this.#request(request, answer => answer.resume())
        upstream.on('error', () => {})
        upstream.end(Buffer.concat(chunks))
      })
    })
  }

  #request(request: http.IncomingMessage, answered: (answer: http.IncomingMessage) => void): http.ClientRequest {
    const { hostname, port } = this.#target
    const { method, url: path, rawHeaders: headers } = request
    return http.request({ host: hostname, port, method, path, headers, agent: this.#agent, setHost: false }, answered)
  }

  #after(delayMs: number, call: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      call()
    }, delayMs)
    this.#timers.add(timer)
  }
}
