// A TCP proxy that does to connections what networks do, whatever they carry: it passes bytes, slowly, not at all, or breaks off in
// the middle. What it has begun to do it does to the connections that are open, too.

import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

export type LinkState =
  | { readonly kind: 'open' }
  /** Nobody listens, and those who are connected are reset. */
  | { readonly kind: 'refused' }
  /** Connections are taken, and no byte passes. What is held back passes when this is over. */
  | { readonly kind: 'hanging' }
  /** Each connection, either way. */
  | { readonly kind: 'slow'; readonly bytesPerSecond: number }
  /** Each connection is reset when so many bytes have passed, either way: in the middle of a request, or of an answer. */
  | { readonly kind: 'resets'; afterBytes(): number }
  /** The same, but with the next answer: what was asked for has been done. */
  | { readonly kind: 'losing answers'; afterBytes(): number }

export interface FaultLink {
  readonly endpoint: string
  readonly state: LinkState
  change(state: LinkState): Promise<void>
  close(): Promise<void>
}

const HOST = '127.0.0.1'

export async function startFaultLink(target: string): Promise<FaultLink> {
  const link = new TcpLink(Number(new URL(target).port))
  await link.listen(0)
  return link
}

class TcpLink implements FaultLink {
  state: LinkState = { kind: 'open' }
  readonly #targetPort: number
  readonly #pairs = new Set<Pair>()
  #server: Server | null = null
  #port = 0

  constructor(targetPort: number) {
    this.#targetPort = targetPort
  }

  get endpoint(): string {
    return `http://${HOST}:${this.#port}`
  }

  async listen(port: number): Promise<void> {
    this.#server = createServer({ noDelay: true }, socket => this.#take(socket)).listen(port, HOST)
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as { port: number }).port
  }

  async change(state: LinkState): Promise<void> {
    this.state = state
    if (state.kind === 'refused') await this.#stopListening()
    else if (this.#server === null) await this.listen(this.#port)
    for (const pair of this.#pairs) pair.obey(state)
  }

  async close(): Promise<void> {
    await this.#stopListening()
  }

  async #stopListening(): Promise<void> {
    const server = this.#server
    if (server === null) return
    this.#server = null
    const closed = once(server, 'close')
    server.close()
    for (const pair of this.#pairs) pair.reset()
    await closed
  }

  #take(near: Socket): void {
    if (this.#server === null) {
      near.resetAndDestroy()
      return
    }
    const far = connect({ host: HOST, port: this.#targetPort, noDelay: true })
    const pair: Pair = new Pair(near, far, this.state, () => this.#pairs.delete(pair))
    this.#pairs.add(pair)
  }
}

/** A connection of a client, and the one that is made for it. */
class Pair {
  readonly #sockets: readonly [Socket, Socket]
  readonly #ended: () => void
  readonly #timers = new Set<NodeJS.Timeout>()
  #state: LinkState
  #leftBytes = Number.POSITIVE_INFINITY

  constructor(near: Socket, far: Socket, state: LinkState, ended: () => void) {
    this.#sockets = [near, far]
    this.#ended = ended
    this.#state = state
    this.#carry(near, far)
    this.#carry(far, near)
    this.obey(state)
  }

  obey(state: LinkState): void {
    this.#state = state
    this.#leftBytes = 'afterBytes' in state ? state.afterBytes() : Number.POSITIVE_INFINITY
    for (const socket of this.#sockets) {
      if (state.kind === 'hanging') socket.pause()
      else socket.resume()
    }
  }

  reset(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    for (const socket of this.#sockets) socket.resetAndDestroy()
    this.#ended()
  }

  #carry(from: Socket, to: Socket): void {
    from.on('error', () => this.reset())
    from.on('end', () => to.end())
    from.on('close', () => to.destroyed && this.#ended())
    from.on('data', chunk => this.#pass(chunk, from, to))
    to.on('drain', () => this.#state.kind === 'hanging' || from.resume())
  }

  #pass(chunk: Buffer, from: Socket, to: Socket): void {
    if (this.#state.kind === 'losing answers' && chunk.length > this.#leftBytes) {
      if (from === this.#sockets[1]) this.reset()
      else to.write(chunk)
      return
    }
    if (chunk.length > this.#leftBytes) {
      to.write(chunk.subarray(0, this.#leftBytes), () => this.reset())
      from.pause()
      return
    }
    this.#leftBytes -= chunk.length
    const flows = to.write(chunk)
    if (this.#state.kind === 'slow') this.#rest(from, (chunk.length / this.#state.bytesPerSecond) * 1000)
    else if (!flows) from.pause()
  }

  #rest(socket: Socket, forMs: number): void {
    socket.pause()
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      if (this.#state.kind !== 'hanging') socket.resume()
    }, forMs)
    this.#timers.add(timer)
  }
}
