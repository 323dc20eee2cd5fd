import { request } from 'node:http'
import { join } from 'node:path'
import { ChronikError, messageOf, systemCodeOf } from '#base/errors.ts'
import { abortAfter } from '#system/clock.ts'
import { withLocalAddress } from '#system/local-socket.ts'
import type { HttpMethod } from './exchange.ts'

export const CONTROL_SOCKET = 'chronik.sock'

export interface ControlRequest {
  method: HttpMethod
  path: string
  /** Sent as JSON. */
  body?: unknown
  timeoutMs: number
}

/** Asks the broker that runs on this data directory. What it answers is JSON; an error that it answers is thrown. */
export async function controlRequest(dataDirectory: string, { path, ...rest }: ControlRequest): Promise<unknown> {
  let answer: { status: number; text: string }
  try {
    answer = await withLocalAddress(join(dataDirectory, CONTROL_SOCKET), socketPath =>
      send(socketPath, { path, ...rest }),
    )
  } catch (cause) {
    throw unreachable(dataDirectory, cause)
  }
  const value = parse(answer.text)
  if (answer.status < 300) return value
  const { code, message } = (value as { error?: { code?: string; message?: string } } | undefined)?.error ?? {}
  throw new ChronikError(
    code ?? 'CONTROL_REQUEST_FAILED',
    answer.status < 500 ? 'invalid' : 'unavailable',
    message ?? `the broker answered ${path} with status ${answer.status}`,
  )
}

function send(socketPath: string, { method, path, body, timeoutMs }: ControlRequest) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const headers = { 'content-type': 'application/json', connection: 'close' }
    const outgoing = request({ socketPath, method, path, headers, signal: abortAfter(timeoutMs) }, incoming => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString() }))
    })
    outgoing.on('error', reject)
    outgoing.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function unreachable(dataDirectory: string, cause: unknown): ChronikError {
  if (cause instanceof ChronikError) return cause
  const code = systemCodeOf(cause)
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR') {
    const message = `no broker is running on the data directory ${dataDirectory}: name the one it was started with`
    return new ChronikError('NO_BROKER', 'unavailable', message, { cause })
  }
  if (code === 'EACCES' || code === 'EPERM') {
    const message = `the broker on ${dataDirectory} runs as another user: run this command as that user`
    return new ChronikError('NOT_PERMITTED', 'invalid', message, { cause })
  }
  const message = `the broker on ${dataDirectory} did not answer: ${messageOf(cause)}`
  return new ChronikError('CONTROL_REQUEST_FAILED', 'unavailable', message, { cause })
}
