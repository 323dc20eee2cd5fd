import { describe, expect, it } from 'vitest'
import { errorCode, errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

const LATEST = -1
const EARLIEST = -2
const MAX_TIMESTAMP = -3
const EARLIEST_LOCAL = -4
const LATEST_TIERED = -5
const EARLIEST_PENDING_UPLOAD = -6

const NOWHERE = { timestamp: -1, offset: -1, leaderEpoch: -1 }

/** Offsets 2 to 5, at the times 20, 40, 30, 50: 0 and 1 are deleted. */
async function brokerWithRecords(): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start()
  await fixture.createTopic('t', { partitions: 2 })
  for (const times of [[10, 15, 20], [40, 30], [50]]) {
    await fixture.append(
      't',
      times.map(timestampMs => ({ timestampMs })),
    )
  }
  await fixture.propose({ kind: 'log-start-moved', ordinal: fixture.partition('t').ordinal, offset: 2 })
  return fixture
}

async function listOne(fixture: BrokerFixture, version: number, timestamp: number, fields: object = {}) {
  const partitions = [{ partitionIndex: 0, timestamp, ...fields }]
  const { topics } = await fixture.ask('ListOffsets', version, { replicaId: -1, topics: [{ name: 't', partitions }] })
  return topics[0]!.partitions[0]!
}

describe('ListOffsets', () => {
  it.each([
    [LATEST, { timestamp: -1, offset: 6, leaderEpoch: 0 }],
    [EARLIEST, { timestamp: -1, offset: 2, leaderEpoch: 0 }],
    [EARLIEST_LOCAL, { timestamp: -1, offset: 2, leaderEpoch: 0 }],
    [MAX_TIMESTAMP, { timestamp: 50, offset: 5, leaderEpoch: 0 }],
    [LATEST_TIERED, NOWHERE],
    [EARLIEST_PENDING_UPLOAD, { timestamp: -1, offset: 2, leaderEpoch: 0 }],
    [0, { timestamp: 20, offset: 2, leaderEpoch: 0 }],
    [21, { timestamp: 40, offset: 3, leaderEpoch: 0 }],
    [45, { timestamp: 50, offset: 5, leaderEpoch: 0 }],
    [51, NOWHERE],
  ])('answers the time %i', async (timestamp, expected) => {
    const fixture = await brokerWithRecords()
    expect(await listOne(fixture, 11, timestamp)).toEqual({ partitionIndex: 0, errorCode: 0, ...expected })
  })

  it('tells the leader epoch from version 4 on', async () => {
    const fixture = await brokerWithRecords()
    for (let version = 1; version <= 11; version++) {
      const answer = await listOne(fixture, version, LATEST)
      expect(answer).toMatchObject({ errorCode: 0, offset: 6, leaderEpoch: version >= 4 ? 0 : -1 })
    }
  })

  it.each([
    [MAX_TIMESTAMP, 7],
    [EARLIEST_LOCAL, 8],
    [LATEST_TIERED, 9],
    [EARLIEST_PENDING_UPLOAD, 11],
  ])('knows the time %i from version %i on', async (timestamp, version) => {
    const fixture = await brokerWithRecords()
    const early = await listOne(fixture, version - 1, timestamp)
    expect(early).toMatchObject({ errorCode: errorCode('UNSUPPORTED_VERSION'), ...NOWHERE })
    expect((await listOne(fixture, version, timestamp)).errorCode).toBe(0)
  })

  it('knows no other negative time', async () => {
    const fixture = await brokerWithRecords()
    expect(errorName((await listOne(fixture, 11, -7)).errorCode)).toBe('UNSUPPORTED_VERSION')
  })

  it('answers nowhere for the newest record of an empty partition', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('t')
    expect(await listOne(fixture, 11, MAX_TIMESTAMP)).toMatchObject({ errorCode: 0, ...NOWHERE })
    expect(await listOne(fixture, 11, 0)).toMatchObject({ errorCode: 0, ...NOWHERE })
  })

  it('shows both isolation levels the same end', async () => {
    const fixture = await brokerWithRecords()
    const topics = [{ name: 't', partitions: [{ partitionIndex: 0, timestamp: LATEST }] }]
    for (const isolationLevel of [0, 1]) {
      const answer = await fixture.ask('ListOffsets', 11, { replicaId: -1, isolationLevel, topics })
      expect(answer.topics[0]?.partitions[0]?.offset).toBe(6)
    }
  })

  it.each([
    [0, 'NONE'],
    [-1, 'NONE'],
    [1, 'UNKNOWN_LEADER_EPOCH'],
    [-2, 'FENCED_LEADER_EPOCH'],
  ] as const)('answers a client that believes in the epoch %i with %s', async (currentLeaderEpoch, error) => {
    const fixture = await brokerWithRecords()
    expect(errorName((await listOne(fixture, 11, LATEST, { currentLeaderEpoch })).errorCode)).toBe(error)
  })

  it('refuses partitions that are not there, and those that come twice', async () => {
    const fixture = await brokerWithRecords()
    const at = (partitionIndex: number) => ({ partitionIndex, timestamp: LATEST })
    const topics = [
      { name: 't', partitions: [at(0), at(1), at(0), at(2), at(-1)] },
      { name: 'none', partitions: [at(0)] },
    ]
    const answer = await fixture.ask('ListOffsets', 11, { replicaId: -1, topics })
    const errors = answer.topics.map(({ partitions }) => partitions.map(one => errorName(one.errorCode)))
    const UNKNOWN = 'UNKNOWN_TOPIC_OR_PARTITION'
    expect(errors).toEqual([['INVALID_REQUEST', 'NONE', 'INVALID_REQUEST', UNKNOWN, UNKNOWN], [UNKNOWN]])
  })
})
