// HTTP for operators: a table of routes on a port, or on the control socket of a data directory.
//
// A handler answers, or throws a ChronikError that becomes an answer. Request bodies are read whole, up to a limit, before the
// handler is called. Closing lets running requests finish for a while.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { AssertionFailed } from '#base/assert.ts'
import { ChronikError } from '#base/errors.ts'
import type { Clock } from '#base/ports.ts'
import type { Logger } from '#observe/log.ts'
import { listenLocal } from '#system/local-socket.ts'
import { cannotListen } from '#system/net.ts'
import { CONTROL_SOCKET } from './control-client.ts'
import { errorAnswer, type HttpAnswer, type Route, statusOfKind } from './exchange.ts'

export { type ControlRequest, controlRequest } from './control-client.ts'
export type { HttpAnswer, HttpMethod, HttpRequest, Route } from './exchange.ts'
export { jsonAnswer } from './exchange.ts'
export { type Health, operationsRoutes } from './operations.ts'

export interface HttpOptions {
  routes: readonly Route[]
  clock: Clock
  log: Logger
}

export interface HttpListener {
  readonly port: number
  /** Refuses new requests, waits for those that run, and cuts them off at the deadline. */
  close(deadlineMs: number): Promise<void>
}

// Limits. Operators' tools are few, and what they send is small.
const MAX_CONNECTIONS = 256
const MAX_HEADER_BYTES = 16 * 1024
const MAX_BODY_BYTES = 1024 * 1024
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
const CHECK_INTERVAL_MS = 5_000

export async function listenHttp(options: HttpOptions & { host: string; port: number }): Promise<HttpListener> {
  const { host, port } = options
  const service = new HttpService(options)
  const { server } = service
  await new Promise<void>((resolve, reject) => {
    const failed = (error: unknown) => reject(cannotListen(host, port, error))
    server.once('error', failed)
    server.listen({ host, port }, () => {
      server.off('error', failed)
      resolve()
    })
  })
  const bound = server.address() as { port: number }
  return { port: bound.port, close: deadlineMs => service.close(deadlineMs) }
}

/** Only the user who runs the broker can use it. The caller holds the lock of the data directory. */
export async function listenControl(
  options: HttpOptions & { dataDirectory: string },
): Promise<Omit<HttpListener, 'port'>> {
  const service = new HttpService(options)
  const listener = await listenLocal(service.server, join(options.dataDirectory, CONTROL_SOCKET))
  return {
    close: async deadlineMs => {
      await listener.close()
      await service.close(deadlineMs)
    },
  }
}

class HttpService {
  readonly server: Server
  readonly #options: HttpOptions
  /** Connections on which no request is being answered. */
  readonly #idle = new Set<IncomingMessage['socket']>()
  #closing = false

  constructor(options: HttpOptions) {
    this.#options = options
    this.server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        connectionsCheckingInterval: CHECK_INTERVAL_MS,
      },
      (request, response) => void this.#serve(request, response),
    )
    this.server.maxConnections = MAX_CONNECTIONS
    this.server.on('connection', socket => {
      this.#idle.add(socket)
      socket.on('close', () => this.#idle.delete(socket))
    })
  }

  async close(deadlineMs: number): Promise<void> {
    this.#closing = true
    const closed = new Promise<void>(resolve => {
      this.server.close(() => resolve())
    })
    // Node waits for a client that has not asked yet, or not to the end.
    for (const socket of this.#idle) socket.destroy()
    const deadline = this.#options.clock.after(deadlineMs, () => this.server.closeAllConnections())
    await closed
    deadline.cancel()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const abort = new AbortController()
    const { socket } = request
    this.#idle.delete(socket)
    response.on('close', () => {
      abort.abort()
      if (!socket.destroyed) this.#idle.add(socket)
    })
    const answer = await this.#answer(request, abort.signal)
    if (answer === null || response.destroyed) return
    const { status, contentType, body, headers = {} } = answer
    response.writeHead(status, {
      'content-type': contentType,
      'content-length': Buffer.byteLength(body),
      ...(this.#closing ? { connection: 'close' } : {}),
      ...headers,
    })
    response.end(request.method === 'HEAD' ? undefined : body)
  }

  /** Null if the client went away before it had asked. */
  async #answer(request: IncomingMessage, signal: AbortSignal): Promise<HttpAnswer | null> {
    const [path = '', query = ''] = (request.url ?? '').split('?', 2)
    const route = this.#route(request.method === 'HEAD' ? 'GET' : (request.method ?? ''), path)
    if ('status' in route) return route
    const body = await readBody(request)
    if (body === 'aborted') return null
    if (body === 'too large') return errorAnswer(413, 'BODY_TOO_LARGE', `a body may have ${MAX_BODY_BYTES} bytes`)
    try {
      return await route.handle({ query: new URLSearchParams(query), body, signal })
    } catch (error) {
      if (error instanceof AssertionFailed) throw error
      if (error instanceof ChronikError) return errorAnswer(statusOfKind[error.kind], error.code, error.message)
      this.#options.log.error('a request failed', { method: request.method, path, error })
      return errorAnswer(500, 'INTERNAL', 'the request failed; the log of the broker says why')
    }
  }

  #route(method: string, path: string): Route | HttpAnswer {
    const { routes } = this.#options
    const atPath = routes.filter(route => route.path === path)
    const route = atPath.find(candidate => candidate.method === method)
    if (route !== undefined) return route
    if (atPath.length === 0) {
      const known = [...new Set(routes.map(candidate => candidate.path))].join(', ')
      return errorAnswer(404, 'NOT_FOUND', `there is no ${path}; there are ${known}`)
    }
    const allowed = atPath.map(candidate => candidate.method).join(', ')
    const answer = errorAnswer(405, 'METHOD_NOT_ALLOWED', `${path} takes ${allowed}`)
    return { ...answer, headers: { allow: allowed } }
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer | 'aborted' | 'too large'> {
  const chunks: Buffer[] = []
  let lengthBytes = 0
  try {
    // What is too large is read to its end all the same: a client that still sends does not hear an answer.
    for await (const chunk of request as AsyncIterable<Buffer>) {
      lengthBytes += chunk.length
      if (lengthBytes <= MAX_BODY_BYTES) chunks.push(chunk)
    }
  } catch {
    return 'aborted' // by the client or by a timeout: either way nobody waits for an answer
  }
  return lengthBytes <= MAX_BODY_BYTES ? Buffer.concat(chunks) : 'too large'
}
