// TCP for the Kafka port: listening, and the addresses of what was accepted. tcp-socket.ts has reading and writing.

import { createServer, type Server } from 'node:net'
import { ChronikError, messageOf, systemCodeOf } from '#base/errors.ts'
import { AcceptedSocket, plainAddress, type TcpHandler, type TcpSocket } from './tcp-socket.ts'

export type { ReadTarget, TcpHandler, TcpSocket } from './tcp-socket.ts'

export interface ListenOptions {
  host: string
  /** 0 for any free one. */
  port: number
  maxConnections: number
  onConnection(socket: TcpSocket): TcpHandler
  /** TOO_MANY_CONNECTIONS or ACCEPT_FAILED: a connection was not taken. */
  onRefused(error: ChronikError): void
  /** `events` is what happens by itself where the other is not possible; it is chosen only to test it. */
  reading?: 'shared-buffer' | 'events'
}

export interface TcpListener {
  readonly address: string
  readonly port: number
  /** Accepts no more; the port is free afterwards. Sockets stay with those who hold them. */
  close(): Promise<void>
}

const SHARED_BUFFER_BYTES = 256 * 1024
const BACKLOG_CONNECTIONS = 1024
// A peer that vanished without a word is noticed after this and ten unanswered probes, one a second.
const KEEP_ALIVE_AFTER_MS = 60_000

export async function listenTcp(options: ListenOptions): Promise<TcpListener> {
  const shared = options.reading === 'events' ? null : Buffer.allocUnsafeSlow(SHARED_BUFFER_BYTES)
  const keepAlive = { keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_AFTER_MS }
  let openConnections = 0
  const server = createServer({ pauseOnConnect: true, noDelay: true, ...keepAlive }, socket => {
    if (openConnections >= options.maxConnections) {
      const peer = plainAddress(socket.remoteAddress)
      socket.on('error', () => {}).destroy()
      options.onRefused(refusal('TOO_MANY_CONNECTIONS', `${openConnections} connections are open: refused ${peer}`))
      return
    }
    openConnections++
    new AcceptedSocket(socket, shared, options.onConnection, () => {
      openConnections--
    })
  })
  await listen(server, options)
  server.on('error', error => options.onRefused(refusal('ACCEPT_FAILED', messageOf(error), error)))
  const bound = server.address() as { address: string; port: number }
  return {
    address: bound.address,
    port: bound.port,
    // The port is free when this returns; the server's own 'close' may come only when all sockets are gone.
    close: async () => {
      server.close()
    },
  }
}

function listen(server: Server, { host, port }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: unknown) => reject(cannotListen(host, port, error))
    server.once('error', failed)
    server.listen({ host, port, backlog: BACKLOG_CONNECTIONS }, () => {
      server.off('error', failed)
      resolve()
    })
  })
}

const remedies: Record<string, string> = {
  EADDRINUSE: 'it is taken by another process: stop that one or choose another port',
  EACCES: 'this user may not use it: choose a port from 1024 on',
  EADDRNOTAVAIL: 'this machine does not have that address: choose one of its own or 0.0.0.0',
  ENOTFOUND: 'nobody knows that host name: choose an address of this machine or 0.0.0.0',
}

/** Says what to do about an address that cannot be had. */
export function cannotListen(host: string, port: number, cause: unknown): ChronikError {
  const reason = remedies[systemCodeOf(cause)] ?? messageOf(cause)
  return new ChronikError('CANNOT_LISTEN', 'unavailable', `cannot listen on ${host}:${port}: ${reason}`, { cause })
}

function refusal(code: string, message: string, cause?: unknown): ChronikError {
  return new ChronikError(code, 'unavailable', message, { cause })
}
