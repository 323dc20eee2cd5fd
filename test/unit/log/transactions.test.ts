import { describe, expect, it } from 'vitest'
import { encodeState } from '#core/checkpoint.ts'
import { followAccepted, type LogEvent } from '#log/follow.ts'
import { highWatermark, lastStableOffset } from '#log/read-bounds.ts'
import { readLog, release } from '#log/read-log.ts'
import {
  attributesOf,
  baseOffsetOf,
  batchSizeBytesOf,
  isControl,
  producerEpochOf,
  producerIdOf,
} from '#records/batch.ts'
import { recordsOf } from '#records/read.ts'
import { rangeFrom } from '#test/simulation/range.ts'
import { LogLab, type LogLabOptions } from '#test/support/log-lab.ts'

const COMMIT = 'commit'
const ABORT = 'abort'

function claim(lab: LogLab, transactionalId: string, producerId: number) {
  const from = { fromProducerId: -1, fromEpoch: -1, isNamed: false }
  const wanted = { transactionalId, timeoutMs: 60_000, ...from, producerId, epoch: 0 }
  return lab.propose({ kind: 'transactional-id-claimed', ...wanted })
}

/** A transaction that is aborted in two partitions, one that is committed, and records of nobody in between. */
async function labWithTransactions(options: LogLabOptions = {}): Promise<LogLab> {
  const lab = await LogLab.open(options)
  await lab.topic('topic', 2)
  for (const [id, transactionalId] of ['aborter', 'committer'].entries()) {
    await claim(lab, transactionalId, id)
    for (const partition of lab.log.state.topics.get('topic')!.partitions) {
      const producer = { id, epoch: 0, sequence: 0, isTransactional: true }
      await lab.append(partition, { sizeBytes: 300, recordCount: 2, producer })
    }
    await lab.append(lab.partition())
    await lab.endTransaction(transactionalId, transactionalId === 'committer')
  }
  return lab
}

/** What a partition has, batch by batch. */
async function contentOf(lab: LogLab, index = 0) {
  const bytes = await lab.readAll(lab.partition('topic', index))
  const batches: (string | number)[][] = []
  for (let at = 0; at < bytes.length; at += batchSizeBytesOf(bytes, at)) {
    if (!isControl(attributesOf(bytes, at))) {
      batches.push([baseOffsetOf(bytes, at), 'records'])
      continue
    }
    const [record] = [...recordsOf(bytes, at, 1000)]
    const type = record?.key?.readInt16BE(2) === 1 ? COMMIT : ABORT
    batches.push([baseOffsetOf(bytes, at), type, producerIdOf(bytes, at), producerEpochOf(bytes, at)])
  }
  return batches
}

async function follow(lab: LogLab): Promise<LogEvent[]> {
  const events: LogEvent[] = []
  const ending = new AbortController()
  const following = (async () => {
    for await (const event of followAccepted(lab.log, 0, ending.signal)) events.push(event)
  })()
  await lab.clock.runFor(500)
  ending.abort()
  await lab.clock.run(following)
  return events
}

const FIRST = [
  [0, 'records'],
  [2, 'records'],
  [3, ABORT, 0, 0],
  [4, 'records'],
  [6, 'records'],
  [7, COMMIT, 1, 0],
]
const SECOND = [
  [0, 'records'],
  [2, ABORT, 0, 0],
  [3, 'records'],
  [5, COMMIT, 1, 0],
]

describe('the end of a transaction', () => {
  it.each<[string, (lab: LogLab) => LogLab | Promise<LogLab>]>([
    ['in memory', lab => lab],
    ['after kill -9', lab => lab.kill()],
    ['after the power failed', lab => lab.crash()],
    ['in files with an index', lab => lab.closeAndOpen()],
  ])('has its marker at an offset of its own in each partition, %s', async (_, onward) => {
    const writer = await labWithTransactions()
    const before = encodeState(writer.log.state)
    const lab = await onward(writer)
    expect(await contentOf(lab, 0)).toEqual(FIRST)
    expect(await contentOf(lab, 1)).toEqual(SECOND)
    expect(encodeState(lab.log.state)).toEqual(before)
    expect(lab.partition().aborted?.between(0, 8)).toEqual([
      { producerId: 0, firstOffset: 0, lastOffset: 3, lastStableOffset: 4 },
    ])
  })

  it('is found by who follows the log, with the batches that it ends', async () => {
    const writer = await labWithTransactions()
    const lab = await writer.kill()
    const told = (await follow(lab)).map(event => {
      if (event.kind === 'batch')
        return `${event.transactionOf ?? 'nobody'} in ${event.partition} at ${event.baseOffset}`
      if (event.kind !== 'transaction-end') return event.kind
      const markers = event.markers.map(({ partition, offset }) => `${partition} at ${offset}`)
      return `${event.producerId} ${event.isCommit ? COMMIT : ABORT} in ${markers.join(', ')}`
    })
    expect(told).toEqual([
      'topic',
      '0 in 0 at 0',
      '0 in 1 at 0',
      'nobody in 0 at 2',
      '0 abort in 0 at 3, 1 at 2',
      '1 in 0 at 4',
      '1 in 1 at 3',
      'nobody in 0 at 6',
      '1 commit in 0 at 7, 1 at 5',
    ])
  })

  it('leaves out the records whose own end retention took away', async () => {
    let lab = await LogLab.open()
    await lab.topic('topic', 1)
    await lab.topic('other', 1)
    await claim(lab, 'tx', 0)
    const write = (sequence: number) =>
      lab.append(lab.partition('topic'), { producer: { id: 0, epoch: 0, sequence, isTransactional: true } })
    await write(0)
    // Keeps the file of the aborted batch, while that of the abort goes.
    await lab.append(lab.partition('other'))
    lab = await lab.closeAndOpen()
    await lab.endTransaction('tx', false)
    lab = await lab.closeAndOpen()
    await lab.propose({ kind: 'log-start-moved', ordinal: lab.partition('topic').ordinal, offset: 2 })
    for (let i = 0; i < 2; i++) lab = await lab.closeAndOpen()
    await write(1)
    await lab.endTransaction('tx', true)
    await lab.clock.runFor(60_000)
    const events = await follow(lab)
    const batches = events.filter(event => event.kind === 'batch' && event.transactionOf !== null)
    expect(batches).toMatchObject([{ baseOffset: 2 }])
    expect(events.filter(event => event.kind === 'transaction-end')).toMatchObject([
      { isCommit: true, markers: [{ partition: 0, offset: 3, logStart: 2 }] },
    ])
  })

  it('leaves nothing if the transaction is in other partitions by the time it is applied', async () => {
    const lab = await labWithTransactions()
    const { nextOffset } = lab.partition()
    const end = { transactionalId: 'committer', producerId: 1, epoch: 0, isCommit: true, fences: false, markerEpoch: 0 }
    const wrong = lab.log.endTransaction({ ...end, nextProducerId: 1, nextEpoch: 0, ordinals: [0] })
    expect(await lab.clock.run(wrong)).toBe('CONCURRENT_TRANSACTIONS')
    expect(lab.partition().nextOffset).toBe(nextOffset)
    await lab.append(lab.partition())
    const again = await lab.kill()
    expect(await contentOf(again)).toEqual([...FIRST, [8, 'records']])
  })
})

describe('a read up to the last stable offset', () => {
  it.each<[string, (lab: LogLab) => LogLab | Promise<LogLab>]>([
    ['memory', lab => lab],
    ['files', lab => lab.closeAndOpen()],
  ])('from %s stops where the first open transaction begins', async (_, onward) => {
    const writer = await labWithTransactions()
    const producer = { id: 1, epoch: 0, sequence: 2, isTransactional: true }
    await writer.append(writer.partition(), { producer })
    await writer.append(writer.partition())
    const lab = await onward(writer)
    const partition = lab.partition()
    expect([partition.lastStableOffset, partition.nextOffset]).toEqual([8, 10])
    const range = { ...rangeFrom(partition, 0), endOffset: partition.lastStableOffset }
    const read = await lab.clock.run(Promise.resolve(readLog(lab.log, partition, range)))
    expect(read.nextOffset).toBe(8)
    release(lab.log, read)
    expect(readLog(lab.log, partition, { ...range, offset: 9 })).toMatchObject({ sizeBytes: 0 })
  })
})

describe('a log whose answers are held back', () => {
  it('is read up to what is answered, and followed no further', async () => {
    let upTo = Number.POSITIVE_INFINITY
    const positions: number[] = []
    const lab = await LogLab.open({
      mayAnswer: endPosition => endPosition <= upTo,
      committed: (_position, endPosition) => positions.push(endPosition),
    })
    await lab.topic('topic')
    const partition = lab.partition()
    const bounds = () => [highWatermark(lab.log, partition), lastStableOffset(lab.log, partition)]
    await claim(lab, 'committer', 1)
    await lab.append(partition)
    const wish = { producer: { id: 1, epoch: 0, sequence: 0, isTransactional: true } }
    await lab.append(partition, { recordCount: 2, ...wish })
    expect(bounds()).toEqual([3, 1])
    upTo = positions.at(-1)!
    const woken: string[] = []
    const { ordinal } = partition
    lab.log.waiters.waitFor(ordinal, { wake: () => woken.push(`at ${bounds()}`) })

    // The end of the transaction, and a record behind it: neither is answered.
    const next = { nextProducerId: 1, nextEpoch: 0, markerEpoch: 0, ordinals: [ordinal] }
    const end = { transactionalId: 'committer', producerId: 1, epoch: 0, isCommit: true, fences: false, ...next }
    void lab.log.endTransaction(end)
    await lab.clock.runFor(50)
    void lab.send(lab.batch(partition))
    await lab.clock.runFor(50)
    expect([partition.nextOffset, partition.lastStableOffset, ...bounds()]).toEqual([5, 5, 3, 1])
    expect((await follow(lab)).map(({ kind }) => kind)).toEqual(['topic', 'batch', 'batch'])

    upTo = positions.at(-2)!
    lab.log.answerHeld()
    expect(bounds()).toEqual([4, 4])
    expect((await follow(lab)).map(({ kind }) => kind)).toEqual(['topic', 'batch', 'batch', 'transaction-end'])
    upTo = Number.POSITIVE_INFINITY
    lab.log.answerHeld()
    expect(bounds()).toEqual([5, 5])
    expect(woken.slice(-2)).toEqual(['at 4,4', 'at 5,5'])
  })

  it('is never read before its begin', async () => {
    let isOpen = true
    const lab = await LogLab.open({ mayAnswer: () => isOpen })
    await lab.topic('topic')
    const partition = lab.partition()
    isOpen = false
    void lab.send(lab.batch(partition))
    await lab.clock.runFor(50)
    expect(highWatermark(lab.log, partition)).toBe(0)
    void lab.log.propose({ kind: 'log-start-moved', ordinal: partition.ordinal, offset: 1 })
    await lab.clock.runFor(50)
    expect([highWatermark(lab.log, partition), lastStableOffset(lab.log, partition)]).toEqual([1, 1])
  })
})
