import { describe, expect, it } from 'vitest'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

const NONE = 0
const OFFSET_OUT_OF_RANGE = 1
const UNKNOWN_TOPIC_OR_PARTITION = 3
const KAFKA_STORAGE_ERROR = 56

/** A topic whose first records are in no memory any more. */
async function onDisk(): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start()
  await fixture.createTopic('old')
  for (let i = 0; i < 10; i++) await fixture.append('old', [{ value: Buffer.alloc(1_000_000) }])
  return fixture
}

/** A fetch of all of it that begins behind another request; once `isGone`, files cannot be read any more. */
async function fetchBehind(fixture: BrokerFixture, other: Promise<unknown>, isGone: () => boolean) {
  fixture.disk.onCall = ({ kind }) => (kind === 'read' && isGone() ? 'EIO' : null)
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 10_000_000 }]
  const body = { maxWaitMs: 0, minBytes: 1, maxBytes: 10_000_000, topics: [{ topic: 'old', partitions }] }
  const [{ responses }] = await fixture.clock.run(Promise.all([fixture.begin('Fetch', 12, body), other]))
  return responses[0]!.partitions[0]!
}

describe('a fetch of records that are in files only', () => {
  it('answers them', async () => {
    const { errorCode, records } = await fetchBehind(await onDisk(), Promise.resolve(), () => false)
    expect(errorCode).toBe(NONE)
    expect(records!.length).toBeGreaterThan(5_000_000)
  })

  it('says that the topic is gone when it is deleted meanwhile', async () => {
    const fixture = await onDisk()
    const deletion = fixture.begin('DeleteTopics', 6, { topics: [{ name: 'old' }], timeoutMs: 1000 })
    const isGone = () => !fixture.state.topics.has('old')
    expect(await fetchBehind(fixture, deletion, isGone)).toMatchObject({ errorCode: UNKNOWN_TOPIC_OR_PARTITION })
    expect(fixture.broker.fetchedBytes).toBe(0)
  })

  it('says that the records are gone when they are deleted meanwhile', async () => {
    const fixture = await onDisk()
    const topics = [{ name: 'old', partitions: [{ partitionIndex: 0, offset: 9 }] }]
    const deletion = fixture.begin('DeleteRecords', 2, { topics, timeoutMs: 1000 })
    const isGone = () => fixture.partition('old').logStart > 0
    expect(await fetchBehind(fixture, deletion, isGone)).toMatchObject({ errorCode: OFFSET_OUT_OF_RANGE })
    expect(fixture.broker.fetchedBytes).toBe(0)
  })

  it('says so, and gives back what it took, when they are there and cannot be read', async () => {
    const fixture = await onDisk()
    const answer = await fetchBehind(fixture, Promise.resolve(), () => true)
    expect(answer).toMatchObject({ errorCode: KAFKA_STORAGE_ERROR })
    expect(fixture.broker.fetchedBytes).toBe(0)
  })
})

describe('a fetch that says which epochs it knows', () => {
  const FENCED_LEADER_EPOCH = 74
  const UNKNOWN_LEADER_EPOCH = 75

  /** Epoch 0 wrote up to offset 4, what epoch 1 wrote is lost, epoch 2 went on there. */
  async function ledTwice(): Promise<BrokerFixture> {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('t')
    for (let i = 0; i < 8; i++) await fixture.append('t', [{ value: `${i}` }])
    Object.assign(fixture.partition('t'), { leaderEpoch: 2, laterEpochs: [{ epoch: 2, startOffset: 4 }] })
    return fixture
  }

  async function ask(fixture: BrokerFixture, version: number, fields: Record<string, number>) {
    const { id } = fixture.partition('t').topic
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000, ...fields }]
    const topics = [version < 13 ? { topic: 't', partitions } : { topicId: id, partitions }]
    const answer = await fixture.ask('Fetch', version, { maxWaitMs: 1000, minBytes: 1, maxBytes: 1000, topics })
    return { ...answer.responses[0]!.partitions[0]!, nodeEndpoints: answer.nodeEndpoints }
  }

  it.each([9, 12, 15, 16, 18])('is refused in version %i if it believes in another leader', async version => {
    const fixture = await ledTwice()
    const early = await ask(fixture, version, { currentLeaderEpoch: 1 })
    expect(early.errorCode).toBe(FENCED_LEADER_EPOCH)
    expect((await ask(fixture, version, { currentLeaderEpoch: 3 })).errorCode).toBe(UNKNOWN_LEADER_EPOCH)
    expect((await ask(fixture, version, { currentLeaderEpoch: 2 })).errorCode).toBe(NONE)
    expect((await ask(fixture, version, { currentLeaderEpoch: -1 })).errorCode).toBe(NONE)
    const { nodeId } = fixture.broker.settings
    if (version < 16) return
    expect(early.currentLeader).toEqual({ leaderId: nodeId, leaderEpoch: 2 })
    expect(early.nodeEndpoints).toMatchObject([{ nodeId, host: 'broker.test', port: 9092 }])
  })

  it('is told where its records and those of the log part', async () => {
    const fixture = await ledTwice()
    const diverging = { errorCode: NONE, divergingEpoch: { epoch: 0, endOffset: 4 }, highWatermark: 8 }
    for (const [lastFetchedEpoch, fetchOffset] of [
      [0, 5],
      [1, 5],
      [1, 4],
      [1, 20],
    ] as const) {
      const answer = await ask(fixture, 12, { lastFetchedEpoch, fetchOffset })
      expect(answer).toMatchObject(diverging)
      expect(answer.records!.length).toBe(0)
    }
    for (const [lastFetchedEpoch, fetchOffset] of [
      [0, 4],
      [2, 7],
      [-1, 7],
    ] as const) {
      const answer = await ask(fixture, 12, { lastFetchedEpoch, fetchOffset })
      expect(answer.divergingEpoch).toEqual({ epoch: -1, endOffset: -1 })
      expect(answer.records!.length).toBeGreaterThan(0)
    }
    expect((await ask(fixture, 12, { lastFetchedEpoch: 3, fetchOffset: 4 })).errorCode).toBe(OFFSET_OUT_OF_RANGE)
  })

  it('is out of range before the start of the log, whatever was there', async () => {
    const fixture = await ledTwice()
    await fixture.propose({ kind: 'log-start-moved', ordinal: fixture.partition('t').ordinal, offset: 2 })
    expect((await ask(fixture, 12, { lastFetchedEpoch: 1, fetchOffset: 1 })).errorCode).toBe(OFFSET_OUT_OF_RANGE)
    expect((await ask(fixture, 12, { lastFetchedEpoch: 1, fetchOffset: 2 })).divergingEpoch).toMatchObject({ epoch: 0 })
  })
})
