// What is counted of the requests to the object store, attempt by attempt.

import { Counter, CounterTable, Family, Histogram } from './metrics.ts'

export const STORE_VERBS = ['put', 'create', 'get', 'head', 'list', 'delete'] as const
export type StoreVerb = (typeof STORE_VERBS)[number]

/** How a request failed: a code of the store, or what happened to it. */
export const STORE_FAILURES = [
  'OBJECT_MISSING',
  'BUCKET_MISSING',
  'STORE_DENIED',
  'STORE_REFUSED',
  'STORE_UNAVAILABLE',
  'STORE_FULL',
  'CANCELLED',
  'INTERNAL',
] as const
export type StoreFailure = (typeof STORE_FAILURES)[number]

export type StoreMetrics = ReturnType<typeof createStoreMetrics>

export function createStoreMetrics() {
  return {
    storeRequests: new Family('chronik_store_requests_total', 'Requests to the object store by kind, each attempt.', {
      label: 'kind',
      values: STORE_VERBS,
      create: Counter,
    }),
    storeErrors: new CounterTable('chronik_store_request_errors_total', 'Those that failed, by kind and by code.', [
      { label: 'kind', values: STORE_VERBS },
      { label: 'code', values: STORE_FAILURES },
    ]),
    storeLatency: new Family(
      'chronik_store_request_latency_seconds',
      'From a request to the object store to the end of its answer, whatever it was.',
      { label: 'kind', values: STORE_VERBS, create: Histogram },
    ),
    storeReadBytes: new Counter('chronik_store_read_bytes_total', 'Bytes of objects that were read.'),
    storeWrittenBytes: new Counter('chronik_store_written_bytes_total', 'Bytes of objects that were written.'),
  }
}
