import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteReader, ByteWriter } from '#bytes/cursor.ts'
import { type Change, encodeChange, PRODUCE_RECORD, RECORD_VERSION, typeOfChange } from '#core/change-records.ts'
import { decodeState, encodeState } from '#core/checkpoint.ts'
import type { ConsumerChange } from '#core/consumer-groups.ts'
import {
  ACCEPTED,
  apply,
  DUPLICATE,
  type Effects,
  FENCED,
  NO_PARTITION,
  OUT_OF_ORDER,
  type Outcome,
} from '#core/core.ts'
import { NO_GENERATION } from '#core/groups.ts'
import {
  addProduceEntry,
  type BatchEntry,
  beginProduceRecord,
  endProduceRecord,
  newBatchEntry,
} from '#core/produce-record.kernel.ts'
import { State } from '#core/state.ts'
import { Model, type Verdict } from '#test/simulation/model.ts'

const VERDICTS: Verdict[] = []
VERDICTS[ACCEPTED] = 'accepted'
VERDICTS[DUPLICATE] = 'duplicate'
VERDICTS[NO_PARTITION] = 'no partition'
VERDICTS[FENCED] = 'fenced'
VERDICTS[OUT_OF_ORDER] = 'out of order'

interface LogRecord {
  readonly type: number
  readonly body: Buffer
}

class Heard implements Effects {
  readonly batches: { verdict: Verdict; baseOffset: number; appendTimeMs: number; position: number }[] = []
  readonly outcomes: Outcome[] = []

  batch(verdict: number, _partition: unknown, baseOffset: number, { appendTimeMs, position }: BatchEntry): void {
    this.batches.push({ verdict: VERDICTS[verdict]!, baseOffset, appendTimeMs, position })
  }

  marked(): void {}

  change(_change: Change, outcome: Outcome): void {
    this.outcomes.push(outcome)
  }
}

function changed(change: Change, timeMs = 0): LogRecord {
  return { type: typeOfChange(change.kind), body: Buffer.from(encodeChange(change, timeMs)) }
}

function produced(entries: Partial<BatchEntry>[], place = { timeMs: 0, file: 0, position: 0 }): LogRecord {
  const into = new ByteWriter()
  beginProduceRecord(into)
  for (const entry of entries) addProduceEntry(into, { ...newBatchEntry(), recordCount: 1, sizeBytes: 70, ...entry })
  endProduceRecord(into, place.timeMs, place.file, place.position)
  return { type: PRODUCE_RECORD, body: Buffer.from(into.written()) }
}

function applyTo(state: State, { type, body }: LogRecord): Heard {
  const heard = new Heard()
  apply(state, { type, version: RECORD_VERSION, body: new ByteReader(body) }, heard)
  return heard
}

function stateAfter(...records: LogRecord[]): State {
  const state = new State()
  for (const record of records) applyTo(state, record)
  return state
}

const topicCreated = (name: string, partitionCount = 1, configs = new Map<string, string>()): LogRecord =>
  changed({ kind: 'topic-created', id: `id-${name}`, name, partitionCount, configs })

describe('topics', () => {
  it('get ordinals that are never used again', () => {
    const deleted = changed({ kind: 'topic-deleted', id: 'id-a' })
    const state = stateAfter(topicCreated('a', 2), topicCreated('b'), deleted, topicCreated('a', 2))
    expect(state.topics.get('a')!.partitions.map(partition => partition.ordinal)).toEqual([3, 4])
    expect(state.topics.get('b')!.partitions.map(partition => partition.ordinal)).toEqual([2])
    expect(state.partitions.map(partition => partition?.topic.name)).toEqual([undefined, undefined, 'b', 'a', 'a'])
    expect(state.partitionCount()).toBe(3)
  })

  it('begin at offset 0 when their name is used again', () => {
    const state = stateAfter(topicCreated('a'), produced([{ ordinal: 0, recordCount: 9 }]))
    applyTo(state, changed({ kind: 'topic-deleted', id: 'id-a' }))
    applyTo(state, topicCreated('a'))
    expect(state.topics.get('a')!.partitions[0]).toMatchObject({ nextOffset: 0, logStart: 0 })
    expect(applyTo(state, produced([{ ordinal: 1 }])).batches[0]).toMatchObject({ baseOffset: 0 })
  })

  it.each<[string, LogRecord, Outcome]>([
    ['a name that is taken', topicCreated('a'), 'TOPIC_ALREADY_EXISTS'],
    ['no partitions', topicCreated('b', 0), 'INVALID_PARTITIONS'],
    ['fewer partitions', changed({ kind: 'partitions-added', id: 'id-a', partitionCount: 2 }), 'INVALID_PARTITIONS'],
    ['partitions of nothing', changed({ kind: 'partitions-added', id: 'x', partitionCount: 3 }), 'UNKNOWN_TOPIC_ID'],
    ['deletion of nothing', changed({ kind: 'topic-deleted', id: 'x' }), 'UNKNOWN_TOPIC_ID'],
    ['configs of nothing', changed({ kind: 'topic-configs-set', id: 'x', configs: new Map() }), 'UNKNOWN_TOPIC_ID'],
    ['a start of nothing', changed({ kind: 'log-start-moved', ordinal: 7, offset: 0 }), 'UNKNOWN_TOPIC_OR_PARTITION'],
  ])('turn away %s, and nothing changes', (_what, record, outcome) => {
    const state = stateAfter(topicCreated('a', 2))
    const before = encodeState(state)
    expect(applyTo(state, record).outcomes).toEqual([outcome])
    expect(encodeState(state)).toEqual(before)
  })

  it('split extents by their own configs, else by those of the broker', () => {
    const state = stateAfter(
      changed({ kind: 'broker-configs-set', configs: new Map([['log.segment.bytes', '100']]) }),
      topicCreated('own', 1, new Map([['segment.bytes', '1000']])),
      topicCreated('broker'),
      produced([{ ordinal: 0 }, { ordinal: 0 }, { ordinal: 1 }, { ordinal: 1 }]),
    )
    expect([0, 1].map(ordinal => state.partitions[ordinal]!.extents.length)).toEqual([1, 2])
    applyTo(state, changed({ kind: 'broker-configs-set', configs: new Map() }))
    applyTo(state, produced([{ ordinal: 1 }, { ordinal: 1 }]))
    expect(state.partitions[1]!.extents.length).toBe(2)
  })
})

describe('produced batches', () => {
  it('get dense offsets, each partition its own, in the order of the record', () => {
    const state = stateAfter(topicCreated('a', 2))
    const entries = [3, 1, 4].map((recordCount, i) => ({ ordinal: i % 2, recordCount, place: i * 100 }))
    const { batches } = applyTo(state, produced(entries, { timeMs: 5, file: 64, position: 1000 }))
    expect(batches.map(({ baseOffset }) => baseOffset)).toEqual([0, 0, 3])
    expect(batches.map(({ position }) => position)).toEqual([1000, 1100, 1200])
    expect(state.partitions[0]!.extents.at(0)).toMatchObject({ file: 64, baseOffset: 0, nextOffset: 7, createdMs: 5 })
  })

  it('of a topic that is gone have no partition, and the others of the record are taken all the same', () => {
    const state = stateAfter(topicCreated('a'))
    const { batches } = applyTo(state, produced([{ ordinal: 9 }, { ordinal: 0 }]))
    expect(batches.map(({ verdict }) => verdict)).toEqual(['no partition', 'accepted'])
  })

  it('of one producer are told apart by partition, and by what the same record had before them', () => {
    const state = stateAfter(topicCreated('a', 2))
    const own = { producerId: 5, producerEpoch: 0, baseSequence: 0, recordCount: 2 }
    const entries = [
      { ordinal: 0, ...own },
      { ordinal: 1, ...own },
      { ordinal: 0, ...own },
    ]
    const { batches } = applyTo(state, produced(entries))
    expect(batches.map(({ verdict }) => verdict)).toEqual(['accepted', 'accepted', 'duplicate'])
  })

  it('that come again are answered with the append time of the first time', () => {
    const state = stateAfter(topicCreated('a'))
    const batch = { ordinal: 0, producerId: 5, producerEpoch: 0, baseSequence: 0 }
    applyTo(state, produced([{ ...batch, maxTimestampMs: 111, appendTimeMs: 111 }]))
    const [again] = applyTo(state, produced([{ ...batch, maxTimestampMs: 222, appendTimeMs: 222 }])).batches
    expect(again).toMatchObject({ verdict: 'duplicate', baseOffset: 0, appendTimeMs: 111 })
  })

  it('keep their time from going back', () => {
    const state = stateAfter(topicCreated('a'))
    applyTo(state, produced([{ ordinal: 0 }], { timeMs: 500, file: 0, position: 0 }))
    applyTo(state, changed({ kind: 'producer-ids-allocated', count: 1 }, 300))
    expect(state.timeMs).toBe(500)
  })
})

describe('the start of a log', () => {
  it('never moves back, nor beyond the end', () => {
    const state = stateAfter(topicCreated('a'), produced([{ ordinal: 0, recordCount: 10 }]))
    const starts = [4, 2, 99].map(offset => {
      applyTo(state, changed({ kind: 'log-start-moved', ordinal: 0, offset }))
      return state.partitions[0]!.logStart
    })
    expect(starts).toEqual([4, 4, 10])
    expect(applyTo(state, produced([{ ordinal: 0 }])).batches[0]).toMatchObject({ baseOffset: 10 })
  })

  it('lets go of the files before it, once no partition needs them', () => {
    const state = stateAfter(topicCreated('a', 2))
    for (const file of [0, 1000, 2000]) {
      applyTo(state, produced([{ ordinal: 0 }, { ordinal: 1 }], { timeMs: 0, file, position: file }))
    }
    const needed = () => [...state.extentsOfFile.keys()]
    applyTo(state, changed({ kind: 'log-start-moved', ordinal: 0, offset: 2 }))
    expect(needed()).toEqual([0, 1000, 2000])
    applyTo(state, changed({ kind: 'log-start-moved', ordinal: 1, offset: 1 }))
    expect(needed()).toEqual([1000, 2000])
    applyTo(state, changed({ kind: 'topic-deleted', id: 'id-a' }))
    expect(needed()).toEqual([])
  })
})

describe('producers', () => {
  it('are forgotten when they have not been heard of for long', () => {
    const state = stateAfter(topicCreated('a'))
    const at = (timeMs: number, producerId: number) =>
      produced([{ ordinal: 0, producerId, producerEpoch: 0, baseSequence: 0 }], { timeMs, file: 0, position: 0 })
    applyTo(state, at(100, 1))
    applyTo(state, at(200, 2))
    applyTo(state, changed({ kind: 'producers-expired', lastAppendBeforeMs: 200 }, 300))
    expect([...state.partitions[0]!.producers!.keys()]).toEqual([2])
    applyTo(state, changed({ kind: 'producers-expired', lastAppendBeforeMs: 1000 }, 300))
    expect(state.partitions[0]!.producers).toBeNull()
  })

  it('get ids from blocks that do not overlap', () => {
    const state = stateAfter(changed({ kind: 'producer-ids-allocated', count: 1000 }))
    expect(state.nextProducerId).toBe(1000)
    applyTo(state, changed({ kind: 'producer-ids-allocated', count: 5 }))
    expect(state.nextProducerId).toBe(1005)
  })
})

// ---- random histories

const nat = (max: number) => fc.integer({ min: 0, max })
const batchStep = fc.record({
  ordinal: nat(6),
  producer: fc.integer({ min: -1, max: 2 }),
  epoch: nat(1),
  sequence: fc.constantFrom('next', 'next', 'next', 'again', 'wrong'),
  recordCount: fc.integer({ min: 1, max: 4 }),
})
const step = fc.oneof(
  { weight: 6, arbitrary: fc.array(batchStep, { minLength: 1, maxLength: 6 }).map(batches => ({ batches })) },
  { weight: 1, arbitrary: fc.record({ create: nat(3), partitionCount: nat(2) }) },
  { weight: 1, arbitrary: fc.record({ remove: nat(3) }) },
  { weight: 1, arbitrary: fc.record({ grow: nat(3), partitionCount: nat(4) }) },
  { weight: 1, arbitrary: fc.record({ configure: nat(3), segmentBytes: nat(300) }) },
  { weight: 2, arbitrary: fc.record({ move: nat(6), offset: nat(40) }) },
  { weight: 1, arbitrary: fc.record({ allocate: nat(9) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      group: nat(1),
      what: fc.constantFrom(
        'joins',
        'joins',
        'moves on',
        'moves on',
        'leaves',
        'is classic',
        'commits',
        'goes',
        'is set',
      ),
      member: nat(2),
    }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** Turns steps into records, and checks each against the model. */
class RandomHistory {
  readonly state = new State()
  readonly model = new Model()
  readonly records: LogRecord[] = []
  readonly #next = new Map<string, { sequence: number; last: Partial<BatchEntry> }>()

  take(taken: Step): void {
    const timeMs = this.records.length * 10
    if ('batches' in taken) {
      const entries = taken.batches.map(batch => this.#entryOf(batch))
      const place = { timeMs, file: Math.floor(timeMs / 100) * 4096, position: timeMs * 50 }
      const { batches } = this.#record(produced(entries, place))
      for (const [i, entry] of entries.entries()) {
        const expected = this.model.produce({
          id: 0,
          ordinal: entry.ordinal!,
          bytes: Buffer.of(),
          entry: filled(entry),
        })
        expect(batches[i]).toMatchObject(expected)
      }
      return
    }
    if ('group' in taken) {
      const change = groupChangeOf(taken, this.state)
      if (change !== null) expect(this.#record(changed(change, timeMs)).outcomes).toEqual(['NONE'])
      return
    }
    const change = changeOf(taken)
    expect(this.#record(changed(change, timeMs)).outcomes).toEqual([this.model.change(change)])
  }

  #record(record: LogRecord): Heard {
    this.records.push(record)
    return applyTo(this.state, record)
  }

  #entryOf({ ordinal, producer, epoch, sequence, recordCount }: BatchStep): Partial<BatchEntry> {
    if (producer < 0) return { ordinal, recordCount }
    const key = `${ordinal}/${producer}/${epoch}`
    const known = this.#next.get(key)
    if (sequence === 'again' && known !== undefined) return known.last
    const baseSequence = sequence === 'wrong' ? 77 : (known?.sequence ?? 0)
    const entry = { ordinal, recordCount, producerId: producer, producerEpoch: epoch, baseSequence }
    if (sequence !== 'wrong') this.#next.set(key, { sequence: baseSequence + recordCount, last: entry })
    return entry
  }
}

interface BatchStep {
  ordinal: number
  producer: number
  epoch: number
  sequence: string
  recordCount: number
}

const filled = (entry: Partial<BatchEntry>): BatchEntry => ({ ...newBatchEntry(), ...entry })

/** Null: it cannot happen now. */
function groupChangeOf({ group, what, member }: Extract<Step, { group: number }>, state: State): Change | null {
  const groupId = `g${group}`
  const id = `m${member}`
  const consumer = state.groups.get(groupId)?.consumer ?? null
  const isMember = consumer?.members.has(id) === true
  const epoch = (consumer?.epoch ?? 1) + 1
  switch (what) {
    case 'joins': {
      const described = { id, instanceId: member === 0 ? 'i' : null, rackId: null, clientId: 'c', clientHost: '/h' }
      const wants = { rebalanceTimeoutMs: 1, topicNames: [`t${epoch}`], topicRegex: '', assignor: null, classic: null }
      const changes: ConsumerChange[] = [
        { kind: 'member', member: { ...described, ...wants } },
        { kind: 'epoch', epoch, topicsHash: epoch * 7 },
      ]
      return { kind: 'consumer-group-changed', groupId, changes }
    }
    case 'moves on': {
      if (!isMember) return null
      const partitions = new Map([[`id-t${epoch % 2}`, new Map([[member * 10 + (epoch % 3), epoch]])]])
      const target = new Map([[`id-t${epoch % 2}`, [member * 10]]])
      const none = new Map()
      const isRevoking = epoch % 2 === 0
      const progress = { epoch, previousEpoch: epoch - 1, state: isRevoking ? 'unrevoked' : 'stable' } as const
      const held = isRevoking ? { assigned: none, revoking: partitions } : { assigned: partitions, revoking: none }
      const changes: ConsumerChange[] = [
        { kind: 'target', memberId: id, target },
        { kind: 'target-epoch', epoch },
        { kind: 'progress', memberId: id, progress: { ...progress, ...held } },
      ]
      return { kind: 'consumer-group-changed', groupId, changes }
    }
    case 'leaves':
      if (!isMember) return null
      return { kind: 'consumer-group-changed', groupId, changes: [{ kind: 'member-gone', memberId: id }] }
    case 'is classic':
      return { kind: 'group-saved', groupId, saved: { ...NO_GENERATION, generation: epoch, leaderId: id } }
    case 'commits': {
      const partitions = [{ partition: member, offset: epoch, leaderEpoch: 0, metadata: '', expiresMs: -1 }]
      return { kind: 'offsets-committed', groupId, topics: [{ topicId: '0', partitions }] }
    }
    case 'goes':
      return { kind: 'group-removed', groupId }
    default:
      return { kind: 'group-configs-set', groupId, configs: new Map(member === 0 ? [] : [['a', `${member}`]]) }
  }
}

function changeOf(taken: Exclude<Step, { batches: unknown } | { group: number }>): Change {
  if ('create' in taken) {
    const { create, partitionCount } = taken
    // Names come again, under other ids.
    return { kind: 'topic-created', id: `${create}`, name: `t${create % 3}`, partitionCount, configs: new Map() }
  }
  if ('remove' in taken) return { kind: 'topic-deleted', id: `${taken.remove}` }
  if ('grow' in taken) return { kind: 'partitions-added', id: `${taken.grow}`, partitionCount: taken.partitionCount }
  if ('configure' in taken) {
    const configs = new Map([['segment.bytes', String(taken.segmentBytes)]])
    return { kind: 'topic-configs-set', id: `${taken.configure}`, configs }
  }
  if ('move' in taken) return { kind: 'log-start-moved', ordinal: taken.move, offset: taken.offset }
  return { kind: 'producer-ids-allocated', count: taken.allocate }
}

function historyOf(steps: Step[]): RandomHistory {
  const history = new RandomHistory()
  history.take({ create: 0, partitionCount: 2 })
  for (const taken of steps) history.take(taken)
  return history
}

describe('any history', () => {
  const histories = fc.array(step, { minLength: 1, maxLength: 60 })

  it('comes to what the plain twin of the state machine comes to', () => {
    fc.assert(
      fc.property(histories, steps => {
        const history = historyOf(steps)
        expect(history.model.differenceTo(history.state)).toBeNull()
      }),
      { numRuns: 200 },
    )
  })

  it('restores from a checkpoint anywhere in it and the rest of its records to the same state, byte for byte', () => {
    fc.assert(
      fc.property(histories, fc.double({ min: 0, max: 1, noNaN: true }), (steps, part) => {
        const history = historyOf(steps)
        const at = Math.floor(part * history.records.length)
        const restored = decodeState(encodeState(stateAfter(...history.records.slice(0, at))))
        for (const record of history.records.slice(at)) applyTo(restored, record)
        expect(encodeState(restored)).toEqual(encodeState(history.state))
        expect(new Map(restored.extentsOfFile)).toEqual(history.state.extentsOfFile)
        expect(restored.groups).toEqual(history.state.groups)
      }),
      { numRuns: 200 },
    )
  })
})
