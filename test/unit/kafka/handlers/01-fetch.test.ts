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
