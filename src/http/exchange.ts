import type { ErrorKind } from '#base/errors.ts'

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'DELETE'

export interface HttpRequest {
  query: URLSearchParams
  body: Buffer
  /** Aborted when the client has gone. */
  signal: AbortSignal
}

export interface Route {
  method: HttpMethod
  /** Without a query, compared as a whole. */
  path: string
  handle(request: HttpRequest): HttpAnswer | Promise<HttpAnswer>
}

export interface HttpAnswer {
  status: number
  contentType: string
  body: string
  headers?: Record<string, string>
}

export function jsonAnswer(status: number, value: unknown): HttpAnswer {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n` }
}

/** `code` is for programs, the message says what to do. */
export function errorAnswer(status: number, code: string, message: string): HttpAnswer {
  return jsonAnswer(status, { error: { code, message } })
}

export const statusOfKind: Record<ErrorKind, number> = {
  retry: 503,
  invalid: 400,
  conflict: 409,
  unavailable: 503,
  corrupt: 500,
  closed: 503,
  internal: 500,
}
