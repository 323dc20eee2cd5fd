import { describe, expect, it } from 'vitest'
import { decodeState, encodeState } from '#core/checkpoint.ts'
import type { Outcome } from '#core/core.ts'
import { OWN_OBJECT, type Segment } from '#core/segments.ts'
import type { Partition, State } from '#core/state.ts'
import { LogLab } from '#test/support/log-lab.ts'

const BATCH_BYTES = 100

interface Lab {
  lab: LogLab
  state: State
  partition: Partition
}

/** A partition with so many batches of one record in each of some WAL files. */
async function labWith(batches: number, partitionCount = 1): Promise<Lab> {
  const lab = await LogLab.open({ walFileBytes: 4096 })
  await lab.topic('topic', partitionCount)
  for (let index = 0; index < partitionCount; index++) {
    await lab.appendMany(lab.partition('topic', index), batches, { sizeBytes: BATCH_BYTES })
  }
  return { lab, state: lab.log.state, partition: lab.partition() }
}

function segment(baseOffset: number, nextOffset: number, more: Partial<Segment> = {}): Segment {
  return {
    ...{ baseOffset, nextOffset, sizeBytes: (nextOffset - baseOffset) * BATCH_BYTES, maxTimestampMs: 1000 },
    ...{ createdMs: 1, place: 0, indexPlace: 5000, indexBytes: 100, generation: 0, revision: 0 },
    ...{ sharedAt: OWN_OBJECT, hash: 0, ...more },
  }
}

const commit = ({ lab }: Lab, ...parts: { ordinal: number; segment: Segment }[]) =>
  lab.propose({ kind: 'segments-committed', parts })
const commitOwn = (some: Lab, from: number, to: number, more: Partial<Segment> = {}) =>
  commit(some, { ordinal: some.partition.ordinal, segment: segment(from, to, more) })
const replace = ({ lab, partition }: Lab, replaced: Segment[], by: Segment[]) =>
  lab.propose({ kind: 'segments-replaced', ordinal: partition.ordinal, replaced, by, cleaned: null })
const moveStart = ({ lab, partition }: Lab, offset: number) =>
  lab.propose({ kind: 'log-start-moved', ordinal: partition.ordinal, offset })

const rangesOf = ({ segments }: Partition) =>
  Array.from({ length: segments.length }, (_, i) => [segments.at(i).baseOffset, segments.at(i).nextOffset])
const garbageOf = ({ garbage }: State) =>
  [...garbage.values()].map(({ partition, segments }) => [
    partition,
    ...Array.from({ length: segments.length }, (_, i) => segments.at(i).baseOffset),
  ])

/** A checkpoint of the state says all of it. */
function expectRoundTrip({ state }: Lab): void {
  const read = decodeState(encodeState(state))
  expect(encodeState(read)).toEqual(encodeState(state))
  expect(read.sharedSegments).toEqual(state.sharedSegments)
  expect(read.extentsOfFile).toEqual(state.extentsOfFile)
}

describe('a range that was sealed', () => {
  it('moves from the write-ahead log to the segments', async () => {
    const some = await labWith(20)
    const { partition, state } = some
    expect(await commitOwn(some, 0, 7)).toBe('NONE')
    expect([rangesOf(partition), partition.walStart, partition.extents.sizeBytes()]).toEqual([[[0, 7]], 7, 1300])
    expect(await commitOwn(some, 7, 20)).toBe('NONE')
    expect([rangesOf(partition), partition.walStart, partition.extents.length]).toEqual([
      [
        [0, 7],
        [7, 20],
      ],
      20,
      0,
    ])
    expect(state.extentsOfFile.size).toBe(0)
    expectRoundTrip(some)
  })

  it('is told of in the same way after a restart', async () => {
    const some = await labWith(20)
    await commitOwn(some, 0, 7)
    await moveStart(some, 3)
    const live = encodeState(some.state)
    expect(encodeState((await some.lab.crash()).log.state)).toEqual(live)
  })

  it.each<[string, number, number, Partial<Segment>, Outcome]>([
    ['begins too early', 0, 12, {}, 'INVALID_UPDATE_VERSION'],
    ['was sealed before', 0, 10, {}, 'INVALID_UPDATE_VERSION'],
    ['begins too late', 11, 15, {}, 'INVALID_UPDATE_VERSION'],
    ['is empty', 10, 10, {}, 'INVALID_UPDATE_VERSION'],
    ['goes beyond the end', 10, 21, {}, 'INVALID_UPDATE_VERSION'],
    ['is of another owner', 10, 15, { generation: 1 }, 'STALE_CONTROLLER_EPOCH'],
  ])('is left out if it %s', async (_, from, to, more, outcome) => {
    const some = await labWith(20)
    await commitOwn(some, 0, 10)
    expect(await commitOwn(some, from, to, more)).toBe(outcome)
    expect([rangesOf(some.partition), some.partition.walStart]).toEqual([[[0, 10]], 10])
  })

  it('is left out beyond an open transaction, and of a topic that is gone', async () => {
    const some = await labWith(5)
    const from = { fromProducerId: -1, fromEpoch: -1, isNamed: false }
    const claim = { transactionalId: 'copier', timeoutMs: 1000, ...from, producerId: 1, epoch: 0 }
    await some.lab.propose({ kind: 'transactional-id-claimed', ...claim })
    await some.lab.append(some.partition, { producer: { id: 1, epoch: 0, sequence: 0, isTransactional: true } })
    expect(await commitOwn(some, 0, 6)).toBe('INVALID_UPDATE_VERSION')
    expect(await commitOwn(some, 0, 5)).toBe('NONE')
    await some.lab.propose({ kind: 'topic-deleted', id: 'id-of-topic' })
    expect(await commitOwn(some, 5, 6)).toBe('INVALID_UPDATE_VERSION')
  })

  it('leaves out no other part of its object', async () => {
    const some = await labWith(10, 3)
    const parts = [0, 1, 2].map(ordinal => ({
      ordinal,
      segment: segment(ordinal === 1 ? 3 : 0, 10, { sharedAt: 77, hash: 5 }),
    }))
    expect(await commit(some, ...parts)).toBe('INVALID_UPDATE_VERSION')
    expect(some.state.partitions.map(partition => partition!.walStart)).toEqual([10, 0, 10])
    expect([...some.state.sharedSegments.values()]).toEqual([2])
    expectRoundTrip(some)
  })
})

describe('objects that nothing refers to any more', () => {
  it('are garbage when retention has passed their segments, whole', async () => {
    const some = await labWith(20)
    await commitOwn(some, 0, 5)
    await commitOwn(some, 5, 10)
    await moveStart(some, 9)
    expect([rangesOf(some.partition), garbageOf(some.state)]).toEqual([[[5, 10]], [[0, 0]]])
    await moveStart(some, 10)
    expect([rangesOf(some.partition), garbageOf(some.state)]).toEqual([
      [],
      [
        [0, 0],
        [0, 5],
      ],
    ])
    expectRoundTrip(some)
  })

  it('are garbage at once when their records were deleted while they were sealed', async () => {
    const some = await labWith(20, 2)
    await moveStart(some, 9)
    const parts = [0, 1].map(ordinal => ({ ordinal, segment: segment(0, 7, { sharedAt: 77, hash: 5 }) }))
    expect(await commit(some, ...parts)).toBe('NONE')
    expect([rangesOf(some.partition), some.partition.walStart]).toEqual([[], 7])
    // Another partition is in the same object.
    expect([garbageOf(some.state), [...some.state.sharedSegments.values()]]).toEqual([[], [1]])
    await commitOwn(some, 7, 8)
    await commitOwn(some, 8, 20)
    expect([rangesOf(some.partition), garbageOf(some.state)]).toEqual([[[8, 20]], [[0, 7]]])
    expectRoundTrip(some)
  })

  it('are garbage when their topic is deleted, and gone when it is told that they are', async () => {
    const some = await labWith(10, 2)
    for (const { ordinal } of some.state.topics.get('topic')!.partitions) {
      await commit(some, { ordinal, segment: segment(0, 10) })
    }
    await some.lab.propose({ kind: 'topic-deleted', id: 'id-of-topic' })
    expect(garbageOf(some.state)).toEqual([
      [0, 0],
      [1, 0],
    ])
    expect([...some.state.garbage.values()][0]).toMatchObject({ topicId: 'id-of-topic', topicName: 'topic' })
    await some.lab.propose({ kind: 'garbage-removed', ids: [0] })
    expect(garbageOf(some.state)).toEqual([[1, 0]])
    expectRoundTrip(some)
  })

  it('are garbage with the last of the segments in them', async () => {
    const some = await labWith(10, 3)
    const shared = { sharedAt: 77, hash: 5 }
    await commit(some, ...[0, 1, 2].map(ordinal => ({ ordinal, segment: segment(0, 10, shared) })))
    for (const [ordinal, left] of [
      [1, 2],
      [0, 1],
      [2, 0],
    ] as const) {
      expect(garbageOf(some.state)).toEqual([])
      expectRoundTrip(some)
      await some.lab.propose({ kind: 'log-start-moved', ordinal, offset: 10 })
      expect([...some.state.sharedSegments.values()]).toEqual(left === 0 ? [] : [left])
    }
    expect(garbageOf(some.state)).toEqual([[2, 0]])
    expectRoundTrip(some)
  })

  it('are garbage when others take the place of their segments', async () => {
    const some = await labWith(20)
    const old = [segment(0, 5), segment(5, 10), segment(10, 15)]
    for (const { baseOffset, nextOffset } of old) await commitOwn(some, baseOffset, nextOffset)
    const by = [segment(5, 15, { sizeBytes: 300, revision: 1 })]
    expect(await replace(some, old.slice(1), by)).toBe('NONE')
    expect([rangesOf(some.partition), garbageOf(some.state)]).toEqual([
      [
        [0, 5],
        [5, 15],
      ],
      [[0, 5, 10]],
    ])
    expect(some.partition.segments.at(1).sizeBytes).toBe(300)
    await commitOwn(some, 15, 20)
    expect(rangesOf(some.partition)).toEqual([
      [0, 5],
      [5, 15],
      [15, 20],
    ])
    expectRoundTrip(some)
  })
})

describe('segments that were written anew', () => {
  it('have nothing of aborted transactions if they were compacted, so that these are forgotten', async () => {
    const some = await labWith(0)
    const { lab, partition } = some
    const from = { fromProducerId: -1, fromEpoch: -1, isNamed: false }
    const claim = { transactionalId: 'copier', timeoutMs: 1000, ...from, producerId: 1, epoch: 0 }
    await lab.propose({ kind: 'transactional-id-claimed', ...claim })
    for (const sequence of [0, 1]) {
      await lab.append(partition, { sizeBytes: 100, producer: { id: 1, epoch: 0, sequence, isTransactional: true } })
      await lab.endTransaction('copier', false)
    }
    const wholeBytes = partition.extents.sizeBytes()
    const { aborted } = partition
    const old = segment(0, 4, { sizeBytes: wholeBytes })
    expect(await commit(some, { ordinal: partition.ordinal, segment: old })).toBe('NONE')
    const compacted = (revision: number, toOffset: number) => ({
      ...({ kind: 'segments-replaced', ordinal: partition.ordinal, cleaned: { toOffset, horizonMs: -1 } } as const),
      replaced: [segment(0, 4, { revision: revision - 1 })],
      by: [segment(0, 4, { revision })],
    })
    // Up to within the second one: records of it may be behind that.
    expect(await lab.propose(compacted(1, 3))).toBe('NONE')
    expect(partition.aborted?.between(0, 4)).toEqual([
      { producerId: 1, firstOffset: 2, lastOffset: 3, lastStableOffset: 4 },
    ])
    expectRoundTrip(some)
    expect(await lab.propose(compacted(2, 4))).toBe('NONE')
    expect(partition.aborted).toBe(null)
    expectRoundTrip(some)
    // Who reads what was there before still knows.
    expect(aborted?.between(0, 4).map(({ lastOffset }) => lastOffset)).toEqual([1, 3])
  })

  it('are left out if those before them are not there any more', async () => {
    const some = await labWith(20)
    const old = [segment(0, 5), segment(5, 10)]
    for (const { baseOffset, nextOffset } of old) await commitOwn(some, baseOffset, nextOffset)
    const by = [segment(0, 10, { revision: 1 })]
    expect(await replace(some, [segment(0, 5), segment(5, 11)], by)).toBe('INVALID_UPDATE_VERSION')
    expect(await replace(some, [segment(0, 5, { revision: 2 }), old[1]!], by)).toBe('INVALID_UPDATE_VERSION')
    expect(await replace(some, [], by)).toBe('INVALID_UPDATE_VERSION')
    expect(await replace(some, old, [segment(0, 10, { generation: 1 })])).toBe('STALE_CONTROLLER_EPOCH')
    await moveStart(some, 5)
    expect(await replace(some, old, by)).toBe('INVALID_UPDATE_VERSION')
    expect(rangesOf(some.partition)).toEqual([[5, 10]])
  })
})
