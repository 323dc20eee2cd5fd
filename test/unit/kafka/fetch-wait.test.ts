import { describe, expect, it } from 'vitest'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

const NONE = 0
const OFFSET_OUT_OF_RANGE = 1
const UNKNOWN_TOPIC_OR_PARTITION = 3
const UNKNOWN_TOPIC_ID = 100
const BY_NAME = 12
const BY_ID = 13
const POLL_MS = 6000
const MORE_THAN_THERE_IS = 100_000
const TOPIC = 'polled'

async function topicWithRecord(): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start()
  await fixture.createTopic(TOPIC)
  await fixture.append(TOPIC, [{ value: 'x'.repeat(1000) }])
  return fixture
}

/** A fetch from the first record on that waits for more than there is, and its connection. */
function poll(fixture: BrokerFixture, version = BY_NAME, maxWaitMs = POLL_MS) {
  const sent: (() => void)[] = []
  const gone: (() => void)[] = []
  const topic = version >= BY_ID ? { topicId: fixture.partition(TOPIC).topic.id } : { topic: TOPIC }
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 2 * MORE_THAN_THERE_IS }]
  const body = {
    maxWaitMs,
    minBytes: MORE_THAN_THERE_IS,
    maxBytes: 2 * MORE_THAN_THERE_IS,
    topics: [{ ...topic, partitions }],
  }
  const answered = fixture.begin('Fetch', version, body, {
    onSent: call => sent.push(call),
    onGone: call => gone.push(call),
  })
  const beganMs = fixture.clock.monotonicMs()
  const answer = answered.then(({ responses }) => ({
    ...responses[0]!.partitions[0]!,
    tookMs: fixture.clock.monotonicMs() - beganMs,
  }))
  const leave = () => {
    for (const call of gone) call()
  }
  return { answer, sent, leave }
}

describe('a fetch that waits', () => {
  it.each([
    [BY_NAME, UNKNOWN_TOPIC_OR_PARTITION],
    [BY_ID, UNKNOWN_TOPIC_ID],
  ])('is answered at once when its topic is deleted (v%i: error %i)', async (version, errorCode) => {
    const fixture = await topicWithRecord()
    const { answer } = poll(fixture, version)
    await fixture.clock.runFor(100)
    await fixture.propose({ kind: 'topic-deleted', id: fixture.partition(TOPIC).topic.id })
    const { tookMs, ...found } = await fixture.clock.run(answer)
    expect(found.errorCode).toBe(errorCode)
    expect(tookMs).toBeGreaterThanOrEqual(100)
    expect(tookMs).toBeLessThan(200)
  })

  it('is answered at once when the records it is about to read are deleted', async () => {
    const fixture = await topicWithRecord()
    const { answer } = poll(fixture)
    await fixture.clock.runFor(100)
    await fixture.propose({ kind: 'log-start-moved', ordinal: fixture.partition(TOPIC).ordinal, offset: 1 })
    const { tookMs, errorCode } = await fixture.clock.run(answer)
    expect(errorCode).toBe(OFFSET_OUT_OF_RANGE)
    expect(tookMs).toBeLessThan(200)
  })

  it('goes on waiting when another topic is deleted', async () => {
    const fixture = await topicWithRecord()
    await fixture.createTopic('other')
    const { answer } = poll(fixture)
    await fixture.propose({ kind: 'topic-deleted', id: fixture.partition('other').topic.id })
    const { tookMs, errorCode, records } = await fixture.clock.run(answer)
    expect(tookMs).toBeGreaterThanOrEqual(POLL_MS)
    expect(errorCode).toBe(NONE)
    expect(records!.length).toBeGreaterThan(1000)
  })

  it('waits five minutes at most', async () => {
    const fixture = await topicWithRecord()
    const { tookMs, errorCode } = await fixture.clock.run(poll(fixture, BY_NAME, 2 ** 31 - 1).answer)
    expect(errorCode).toBe(NONE)
    expect(Math.round(tookMs)).toBe(300_000)
  })

  it('makes one answer when the connection goes after its time has ended, and gives back what it took', async () => {
    const fixture = await topicWithRecord()
    const { answer, sent, leave } = poll(fixture)
    expect((await fixture.clock.run(answer)).records!.length).toBeGreaterThan(1000)
    expect(fixture.broker.fetchedBytes).toBeGreaterThan(1000)
    leave()
    expect(sent).toHaveLength(1)
    for (const call of sent) call()
    expect(fixture.broker.fetchedBytes).toBe(0)
  })

  it('reads nothing when the connection is gone', async () => {
    const fixture = await topicWithRecord()
    const { answer, sent, leave } = poll(fixture)
    await fixture.clock.runFor(100)
    leave()
    const { errorCode, records, highWatermark, tookMs } = await fixture.clock.run(answer)
    expect({ errorCode, records: records?.length ?? 0, highWatermark }).toEqual({
      errorCode: NONE,
      records: 0,
      highWatermark: 1,
    })
    expect(tookMs).toBeLessThan(200)
    expect(fixture.broker.fetchedBytes).toBe(0)
    await fixture.clock.runFor(POLL_MS)
    expect(sent).toHaveLength(1)
  })
})
