import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { ByteReader, ByteWriter } from '#bytes/cursor.ts'
import { type Change, encodeChange, PRODUCE_RECORD, RECORD_VERSION, typeOfChange } from '#core/change-records.ts'
import { decodeState, encodeState } from '#core/checkpoint.ts'
import { apply, NO_EFFECTS } from '#core/core.ts'
import {
  addProduceEntry,
  beginProduceRecord,
  endProduceRecord,
  JOINS_TRANSACTION_BIT,
  newBatchEntry,
} from '#core/produce-record.kernel.ts'
import { State } from '#core/state.ts'
import { type AbortedTransaction, AbortedTransactions } from '#core/transactions.ts'
import { TRANSACTIONAL_BIT } from '#records/batch.ts'

const nat = (max: number) => fc.integer({ min: 0, max })

describe('the aborted transactions of a partition', () => {
  const histories = fc.array(fc.record({ producer: nat(4), wait: nat(3), aborts: fc.boolean() }), { maxLength: 60 })

  /** Producers begin and end one after the other; those that abort are remembered twice: packed, and plainly. */
  function live(steps: readonly { producer: number; wait: number; aborts: boolean }[]) {
    const open = new Map<number, number>()
    const packed = new AbortedTransactions()
    const plain: AbortedTransaction[] = []
    let offset = 0
    for (const { producer, wait, aborts } of steps) {
      offset += wait
      const firstOffset = open.get(producer)
      if (firstOffset === undefined) open.set(producer, offset++)
      else {
        const lastOffset = offset++
        open.delete(producer)
        if (!aborts) continue
        const aborted = {
          producerId: producer,
          firstOffset,
          lastOffset,
          lastStableOffset: Math.min(offset, ...open.values()),
        }
        packed.add(aborted)
        plain.push(aborted)
      }
    }
    return { packed, plain, offset }
  }

  it('are found by the offsets that are read, in the order in which they began', () => {
    fc.assert(
      fc.property(histories, nat(100), nat(100), nat(60), (steps, from, length, start) => {
        const { packed, plain } = live(steps)
        packed.dropBefore(start)
        const to = from + length
        const expected = plain
          .filter(({ firstOffset, lastOffset }) => lastOffset >= Math.max(from, start) && firstOffset < to)
          .sort((a, b) => a.firstOffset - b.firstOffset)
        expect(packed.between(from, to)).toEqual(expected)
        expect(new AbortedTransactions(packed.rows().slice()).between(from, to)).toEqual(expected)
      }),
    )
  })
})

interface LogRecord {
  readonly type: number
  readonly body: Buffer
}

const who = { producer: nat(2), epoch: nat(2) }
const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ claim: nat(2), again: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ write: nat(3), ...who, isTransactional: fc.boolean(), sequence: nat(2) }) },
  { weight: 2, arbitrary: fc.record({ join: nat(3), ...who }) },
  { weight: 2, arbitrary: fc.record({ offsets: nat(3), ...who, isPlain: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({ end: nat(2), isCommit: fc.boolean(), bumps: fc.boolean(), isStale: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ start: nat(3), offset: nat(20) }) },
  { weight: 1, arbitrary: fc.record({ remove: nat(1) }) },
  { weight: 1, arbitrary: fc.record({ forget: nat(2) }) },
  { weight: 1, arbitrary: fc.record({ group: nat(1) }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

const idOf = (producer: number): string => `t${producer}`
const topicOf = (ordinal: number): string => `topic-${Math.floor(ordinal / 2)}`

function recordOf(state: State, taken: Step, timeMs: number): LogRecord {
  if ('write' in taken) return produced(taken, timeMs)
  const change = changeOf(state, taken)
  return { type: typeOfChange(change.kind), body: encodeChange(change, timeMs) }
}

function produced(taken: Extract<Step, { write: number }>, timeMs: number): LogRecord {
  const into = new ByteWriter()
  const { write, producer, epoch, isTransactional, sequence } = taken
  const batch = { ordinal: write, recordCount: 1, sizeBytes: 70, producerId: producer, producerEpoch: epoch }
  const attributes = isTransactional ? TRANSACTIONAL_BIT | JOINS_TRANSACTION_BIT : 0
  beginProduceRecord(into)
  addProduceEntry(into, { ...newBatchEntry(), ...batch, baseSequence: sequence, attributes })
  endProduceRecord(into, timeMs, 0, timeMs * 100)
  return { type: PRODUCE_RECORD, body: Buffer.from(into.written()) }
}

function changeOf(state: State, taken: Exclude<Step, { write: number }>): Change {
  if ('claim' in taken) {
    const found = state.transactions.get(idOf(taken.claim))
    const from = { fromProducerId: found?.producerId ?? -1, fromEpoch: found?.epoch ?? -1, isNamed: taken.again }
    const to = { producerId: taken.claim, epoch: (found?.epoch ?? -1) + 1 }
    return { kind: 'transactional-id-claimed', transactionalId: idOf(taken.claim), timeoutMs: 1000, ...from, ...to }
  }
  if ('join' in taken) {
    const { producer, epoch, join } = taken
    const places = { ordinals: [join], groupIds: [`g${join}`] }
    return { kind: 'transaction-joined', transactionalId: idOf(producer), producerId: producer, epoch, ...places }
  }
  if ('offsets' in taken) {
    const { producer, epoch, offsets, isPlain } = taken
    const partition = { partition: offsets % 2, offset: epoch, leaderEpoch: -1, metadata: '', expiresMs: -1 }
    const commit = { groupId: `g${producer}`, topics: [{ topicId: topicOf(offsets), partitions: [partition] }] }
    if (isPlain) return { kind: 'offsets-committed', ...commit }
    return { kind: 'transaction-offsets-committed', ...commit, producerId: producer, epoch, joins: true }
  }
  if ('end' in taken) return endOf(state, taken)
  if ('start' in taken) return { kind: 'log-start-moved', ordinal: taken.start, offset: taken.offset }
  if ('remove' in taken) return { kind: 'topic-deleted', id: `topic-${taken.remove}` }
  if ('forget' in taken) {
    const epoch = state.transactions.get(idOf(taken.forget))?.epoch ?? 0
    return { kind: 'transactional-id-removed', transactionalId: idOf(taken.forget), producerId: taken.forget, epoch }
  }
  return { kind: 'group-removed', groupId: `g${taken.group}` }
}

function endOf(state: State, { end, isCommit, bumps, isStale }: Extract<Step, { end: number }>): Change {
  const found = state.transactions.get(idOf(end))
  const epoch = found?.epoch ?? 0
  const next = { nextProducerId: end, nextEpoch: epoch + (bumps ? 1 : 0), markerEpoch: epoch + (bumps ? 1 : 0) }
  const ordinals = [...(found?.partitions ?? [])].slice(isStale ? 1 : 0)
  const markers = ordinals.map((ordinal, i) => ({ ordinal, place: i * 78, sizeBytes: 78, crc: i }))
  const who = { transactionalId: idOf(end), producerId: end, epoch, isCommit, fences: isCommit && bumps }
  return { kind: 'transaction-ended', ...who, ...next, file: 0, payloadPosition: 0, markers }
}

function applyTo(state: State, { type, body }: LogRecord): void {
  apply(state, { type, version: RECORD_VERSION, body: new ByteReader(body) }, NO_EFFECTS)
}

function applyChange(state: State, change: Change): void {
  applyTo(state, { type: typeOfChange(change.kind), body: encodeChange(change, state.timeMs) })
}

function historyOf(steps: readonly Step[], check: (state: State) => void = () => {}) {
  const state = new State()
  const records: LogRecord[] = []
  const take = (record: LogRecord): void => {
    records.push(record)
    applyTo(state, record)
    check(state)
  }
  for (const [i, name] of ['topic-0', 'topic-1'].entries()) {
    const change: Change = { kind: 'topic-created', id: name, name, partitionCount: 2, configs: new Map() }
    take({ type: typeOfChange(change.kind), body: encodeChange(change, i) })
  }
  for (const taken of steps) take(recordOf(state, taken, records.length))
  return { state, records }
}

function expectConsistent(state: State): void {
  for (const partition of state.partitions) {
    if (partition === undefined) continue
    const { lastStableOffset, nextOffset, logStart, openTransactions } = partition
    const firstOpen = Math.min(nextOffset, ...(openTransactions?.values() ?? []))
    expect(lastStableOffset).toBe(Math.max(firstOpen, logStart))
    for (const producerId of openTransactions?.keys() ?? []) {
      const transaction = state.transactionOfProducer.get(producerId)
      expect(transaction?.isOngoing).toBe(true)
      expect(transaction?.partitions).toContain(partition.ordinal)
    }
  }
  for (const transaction of state.transactions.values()) {
    expect(state.openTransactions.has(transaction)).toBe(transaction.isOngoing)
    if (!transaction.isOngoing) expect(transaction.partitions.size + transaction.groups.size).toBe(0)
    for (const ordinal of transaction.partitions) expect(state.partitions[ordinal]).toBeDefined()
    expect(state.transactionOfProducer.get(transaction.producerId)).toBe(transaction)
  }
}

describe('a topic that is deleted while many transactions are open', () => {
  const counts = { transactions: 50, partitions: 400 }

  /** Each of the transactions is in so many partitions of each of two topics. Returns how often one was told to leave one. */
  function leavingsOf(joined: number, partitionCount: number): { state: State; leavings: number } {
    const { state } = historyOf([])
    for (const name of ['gone', 'kept']) {
      applyChange(state, { kind: 'topic-created', id: name, name, partitionCount, configs: new Map() })
    }
    const ordinals = ['gone', 'kept'].flatMap(name =>
      state.topics
        .get(name)!
        .partitions.slice(0, joined)
        .map(({ ordinal }) => ordinal),
    )
    for (let i = 0; i < counts.transactions; i++) {
      applyChange(state, changeOf(state, { claim: i, again: false }))
      const who = { transactionalId: idOf(i), producerId: i, epoch: 0 }
      applyChange(state, { kind: 'transaction-joined', ...who, ordinals, groupIds: [] })
    }
    const leave = vi.spyOn(Set.prototype, 'delete')
    applyChange(state, { kind: 'topic-deleted', id: 'gone' })
    const leavings = leave.mock.calls.length
    leave.mockRestore()
    return { state, leavings }
  }

  it.each([
    ['few of its many partitions', 2, counts.partitions],
    ['all of its few partitions', 3, 3],
  ])('is left by those that are in %s, without a look at what they are not in', (_what, joined, partitionCount) => {
    const { state, leavings } = leavingsOf(joined, partitionCount)
    expect(leavings).toBe(counts.transactions * joined)
    for (const { partitions } of state.openTransactions) expect(partitions.size).toBe(joined)
    expectConsistent(state)
  })
})

describe('any history of transactions', () => {
  const histories = fc.array(step, { minLength: 1, maxLength: 60 })

  it('leaves what is open, what is stable and who may write in agreement, after every record', () => {
    fc.assert(
      fc.property(histories, steps => void historyOf(steps, expectConsistent)),
      { numRuns: 200 },
    )
  })

  it('restores from a checkpoint anywhere in it and the rest of its records to the same state, byte for byte', () => {
    fc.assert(
      fc.property(histories, fc.double({ min: 0, max: 1, noNaN: true }), (steps, part) => {
        const { state, records } = historyOf(steps)
        const at = Math.floor(part * records.length)
        const before = new State()
        for (const record of records.slice(0, at)) applyTo(before, record)
        const restored = decodeState(encodeState(before))
        for (const record of records.slice(at)) applyTo(restored, record)
        expect(encodeState(restored)).toEqual(encodeState(state))
        expectConsistent(restored)
      }),
      { numRuns: 200 },
    )
  })
})
