// What is written, and how.

import type { LoadPlan } from './producers.ts'

export interface Topic {
  readonly name: string
  readonly partitions: number
  readonly isCompacted: boolean
  readonly configs: Readonly<Record<string, string>>
}

const FOR_EVER = { 'retention.ms': '-1' }

export const LEDGER: Topic = { name: 'ledger', partitions: 6, isCompacted: false, configs: FOR_EVER }
/** Sealed all the time. */
const HASTY: Topic = {
  name: 'hasty',
  partitions: 3,
  isCompacted: false,
  configs: { ...FOR_EVER, 'segment.bytes': '1048576', 'segment.ms': '1000' },
}
const PAYMENTS: Topic = { name: 'payments', partitions: 4, isCompacted: false, configs: FOR_EVER }
/** Little of each of many. */
const TRICKLE: Topic = { name: 'trickle', partitions: 200, isCompacted: false, configs: FOR_EVER }
const TABLE: Topic = {
  name: 'table',
  partitions: 2,
  isCompacted: true,
  configs: { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.05', 'segment.ms': '2000' },
}
const PLAIN: Topic = { name: 'plain', partitions: 3, isCompacted: false, configs: FOR_EVER }

export const TOPICS: readonly Topic[] = [LEDGER, HASTY, PAYMENTS, TRICKLE, TABLE, PLAIN]

/** A key has its partition: of so many there are some for each. */
const KEYS = 1200

const plan = (topic: Topic, fields: Omit<LoadPlan, 'topic' | 'partitions' | 'keys'> & { keys?: number }): LoadPlan => ({
  topic: topic.name,
  partitions: topic.partitions,
  keys: KEYS,
  ...fields,
})

const once = { kind: 'once' } as const

export const PRODUCERS: readonly LoadPlan[] = [
  plan(LEDGER, { name: 'ledger-1', ...once, valueBytes: [100, 2000], records: [1, 40], pauseMs: 100 }),
  plan(LEDGER, { name: 'ledger-2', ...once, valueBytes: [5000, 60_000], records: [1, 3], pauseMs: 250 }),
  plan(HASTY, { name: 'hasty-1', ...once, valueBytes: [1000, 20_000], records: [1, 20], pauseMs: 350 }),
  plan(TRICKLE, { name: 'trickle-1', ...once, valueBytes: [10, 200], records: [20, 60], pauseMs: 400 }),
  plan(TABLE, {
    name: 'table-1',
    kind: 'compacted',
    valueBytes: [100, 1000],
    records: [5, 60],
    pauseMs: 300,
    keys: 500,
  }),
  plan(PLAIN, { name: 'plain-1', kind: 'repeated', valueBytes: [100, 3000], records: [1, 20], pauseMs: 200 }),
]

export const TRANSACTORS: readonly LoadPlan[] = [
  plan(PAYMENTS, { name: 'payments-1', ...once, valueBytes: [100, 1000], records: [1, 10], pauseMs: 100 }),
  plan(PAYMENTS, { name: 'payments-2', ...once, valueBytes: [100, 10_000], records: [1, 10], pauseMs: 200 }),
  plan(LEDGER, { name: 'ledger-3', ...once, valueBytes: [100, 4000], records: [1, 10], pauseMs: 200 }),
]
