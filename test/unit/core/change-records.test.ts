import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteReader } from '#bytes/cursor.ts'
import {
  type Change,
  decodeChange,
  encodeChange,
  RECORD_TYPE_NAMES,
  RECORD_VERSION,
  typeOfChange,
} from '#core/change-records.ts'
import type { ConsumerChange } from '#core/consumer-groups.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 30 })
const configs = fc.array(fc.tuple(text, text), { maxLength: 5 }).map(entries => new Map(entries))
const count = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const whole = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })

const bytes = fc.uint8Array({ maxLength: 40 }).map(array => Buffer.from(array))
const int32 = fc.integer({ min: -1, max: 2 ** 31 - 1 })
const optionalText = fc.option(text, { nil: null })
const member = fc.record({
  id: text,
  instanceId: optionalText,
  clientId: text,
  clientHost: text,
  sessionTimeoutMs: int32,
  rebalanceTimeoutMs: int32,
  metadata: bytes,
  assignment: bytes,
})
const generation = fc.record({
  generation: count,
  protocolType: optionalText,
  protocol: optionalText,
  leaderId: optionalText,
  members: fc.array(member, { maxLength: 3 }),
})
const committed = fc.record({
  partition: count,
  offset: whole,
  leaderEpoch: int32,
  metadata: text,
  expiresMs: fc.double({ noNaN: true }),
})
const topicsOf = <T>(partition: fc.Arbitrary<T>) =>
  fc.array(fc.record({ topicId: text, partitions: fc.array(partition, { maxLength: 3 }) }), { maxLength: 3 })

const producerId = fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER })
const epoch = fc.integer({ min: -1, max: 32767 })

const memberEpoch = fc.integer({ min: -2, max: 2 ** 31 - 1 })
const texts = fc.array(text, { maxLength: 3 })
const mapOf = <T>(value: fc.Arbitrary<T>) =>
  fc.array(fc.tuple(text, value), { maxLength: 3 }).map(entries => new Map(entries))
const indexes = fc.array(count, { maxLength: 3 })
const assignment = mapOf(fc.array(fc.tuple(count, count), { maxLength: 3 }).map(entries => new Map(entries)))
const description = fc.record({
  id: text,
  instanceId: optionalText,
  rackId: optionalText,
  clientId: text,
  clientHost: text,
  rebalanceTimeoutMs: int32,
  topicNames: texts,
  topicRegex: text,
  assignor: optionalText,
  classic: fc.option(
    fc.record({
      sessionTimeoutMs: int32,
      protocols: fc.array(fc.record({ name: text, metadata: bytes }), { maxLength: 2 }),
    }),
    { nil: null },
  ),
})
const progress = fc.record({
  epoch: memberEpoch,
  previousEpoch: memberEpoch,
  state: fc.constantFrom('stable' as const, 'unrevoked' as const, 'unreleased' as const),
  assigned: assignment,
  revoking: assignment,
})
const consumerChange: fc.Arbitrary<ConsumerChange> = fc.oneof(
  fc.record({ kind: fc.constant('epoch' as const), epoch: count, topicsHash: whole }),
  fc.record({ kind: fc.constant('member' as const), member: description }),
  fc.record({ kind: fc.constant('progress' as const), memberId: text, progress }),
  fc.record({ kind: fc.constant('target' as const), memberId: text, target: mapOf(indexes) }),
  fc.record({ kind: fc.constant('target-epoch' as const), epoch: count }),
  fc.record({ kind: fc.constant('member-gone' as const), memberId: text }),
)

const segment = fc.record({
  baseOffset: whole,
  nextOffset: whole,
  sizeBytes: whole,
  maxTimestampMs: fc.double({ noNaN: true }),
  createdMs: fc.double({ noNaN: true }),
  place: whole,
  indexPlace: whole,
  indexBytes: count,
  generation: count,
  revision: fc.double({ noNaN: true }),
  sharedAt: whole,
  hash: count,
})
const changes: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('cluster-created' as const), clusterId: text }),
  fc.record({ kind: fc.constant('topic-created' as const), id: text, name: text, partitionCount: count, configs }),
  fc.record({ kind: fc.constant('topic-deleted' as const), id: text }),
  fc.record({ kind: fc.constant('partitions-added' as const), id: text, partitionCount: count }),
  fc.record({ kind: fc.constant('topic-configs-set' as const), id: text, configs }),
  fc.record({ kind: fc.constant('broker-configs-set' as const), configs }),
  fc.record({ kind: fc.constant('log-start-moved' as const), ordinal: count, offset: whole }),
  fc.record({ kind: fc.constant('producer-ids-allocated' as const), count }),
  fc.record({ kind: fc.constant('producers-expired' as const), lastAppendBeforeMs: fc.double({ noNaN: true }) }),
  fc.record({ kind: fc.constant('group-saved' as const), groupId: text, saved: generation }),
  fc.record({ kind: fc.constant('offsets-committed' as const), groupId: text, topics: topicsOf(committed) }),
  fc.record({ kind: fc.constant('offsets-removed' as const), groupId: text, topics: topicsOf(count) }),
  fc.record({ kind: fc.constant('group-removed' as const), groupId: text }),
  fc.record({
    kind: fc.constant('offsets-expired' as const),
    groupId: text,
    foundAt: whole,
    topics: topicsOf(count),
    removesGroup: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('consumer-group-changed' as const),
    groupId: text,
    changes: fc.array(consumerChange, { maxLength: 4 }),
  }),
  fc.record({ kind: fc.constant('group-configs-set' as const), groupId: text, configs }),
  fc.record({
    kind: fc.constant('transactional-id-claimed' as const),
    transactionalId: text,
    timeoutMs: int32,
    fromProducerId: producerId,
    fromEpoch: epoch,
    producerId,
    epoch,
    isNamed: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('transaction-joined' as const),
    transactionalId: text,
    producerId,
    epoch,
    ordinals: fc.array(count, { maxLength: 3 }),
    groupIds: fc.array(text, { maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant('transaction-ended' as const),
    transactionalId: text,
    producerId,
    epoch,
    isCommit: fc.boolean(),
    fences: fc.boolean(),
    markerEpoch: epoch,
    nextProducerId: producerId,
    nextEpoch: epoch,
    file: whole,
    payloadPosition: whole,
    markers: fc.array(fc.record({ ordinal: count, place: count, sizeBytes: count, crc: count }), { maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('transactional-id-removed' as const), transactionalId: text, producerId, epoch }),
  fc.record({
    kind: fc.constant('transaction-offsets-committed' as const),
    groupId: text,
    producerId,
    epoch,
    joins: fc.boolean(),
    topics: topicsOf(committed),
  }),
  fc.record({
    kind: fc.constant('segments-committed' as const),
    parts: fc.array(fc.record({ ordinal: count, segment }), { maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant('segments-replaced' as const),
    ordinal: count,
    replaced: fc.array(fc.record({ baseOffset: whole, nextOffset: whole, revision: whole }), { maxLength: 3 }),
    by: fc.array(segment, { maxLength: 3 }),
    cleaned: fc.option(fc.record({ toOffset: whole, horizonMs: fc.double({ noNaN: true }) })),
  }),
  fc.record({ kind: fc.constant('garbage-removed' as const), ids: fc.array(whole, { maxLength: 3 }) }),
  fc.record({ kind: fc.constant('generation-begun' as const), generation: count, ownerId: text }),
)

describe('the record of a change', () => {
  it('is read as it was written, whatever it says', () => {
    fc.assert(
      fc.property(changes, whole, (change, timeMs) => {
        const reader = new ByteReader(encodeChange(change, timeMs))
        expect(decodeChange(typeOfChange(change.kind), RECORD_VERSION, reader)).toEqual({ timeMs, change })
        expect(reader.remaining).toBe(0)
      }),
    )
  })

  it('has a number of its own for each kind', () => {
    expect([...RECORD_TYPE_NAMES]).toEqual([
      [1, 'produced'],
      [2, 'cluster-created'],
      [3, 'topic-created'],
      [4, 'topic-deleted'],
      [5, 'partitions-added'],
      [6, 'topic-configs-set'],
      [7, 'broker-configs-set'],
      [8, 'log-start-moved'],
      [9, 'producer-ids-allocated'],
      [10, 'producers-expired'],
      [11, 'group-saved'],
      [12, 'offsets-committed'],
      [13, 'offsets-removed'],
      [14, 'group-removed'],
      [15, 'transactional-id-claimed'],
      [16, 'transaction-joined'],
      [17, 'transaction-ended'],
      [18, 'transactional-id-removed'],
      [19, 'transaction-offsets-committed'],
      [20, 'consumer-group-changed'],
      [21, 'group-configs-set'],
      [22, 'offsets-expired'],
      [23, 'segments-committed'],
      [24, 'segments-replaced'],
      [25, 'garbage-removed'],
      [26, 'generation-begun'],
    ])
  })

  it('stops the reader if it is of a kind or a version that is not known', () => {
    const body = encodeChange({ kind: 'topic-deleted', id: 'x' }, 0)
    for (const [type, version] of [
      [99, RECORD_VERSION],
      [4, RECORD_VERSION + 1],
      [0, RECORD_VERSION],
    ] as const) {
      const unknown = expect.objectContaining({ code: 'RECORD_TOO_NEW', kind: 'invalid' })
      expect(() => decodeChange(type, version, new ByteReader(body))).toThrow(unknown)
    }
  })
})
