import { describe, expect, it } from 'vitest'
import { errorCode } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

const LATEST = -1
const NONE = errorCode('NONE')
const STORAGE_ERROR = errorCode('KAFKA_STORAGE_ERROR')
/** What clients wait for an answer if nothing else is set. */
const REQUEST_TIMEOUT_MS = 30_000

/** Each partition of the topic has a record in a segment that nobody has read yet. */
async function coldBroker(partitions: number): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.startWithBucket()
  await fixture.createTopic('t', { partitions })
  for (let partition = 0; partition < partitions; partition++) {
    await fixture.append('t', [{ timestampMs: 10 }], { partition })
    await fixture.seal(fixture.partition('t', partition))
  }
  return fixture.restart()
}

async function list(fixture: BrokerFixture, timestamps: readonly number[]) {
  const partitions = timestamps.map((timestamp, partitionIndex) => ({ partitionIndex, timestamp }))
  const { topics } = await fixture.ask('ListOffsets', 9, { replicaId: -1, topics: [{ name: 't', partitions }] })
  return topics[0]!.partitions
}

describe('offsets by time of a store that', () => {
  it.each(['denied', 'unavailable', 'truncated'] as const)(
    'is %s are refused for their partition alone',
    async fault => {
      const fixture = await coldBroker(3)
      const lost = fixture.bucket.keys.find(key => key.includes('/1/'))
      fixture.bucket.onCall = ({ key }) => (key === lost ? fault : null)
      const answers = await list(fixture, [5, 5, LATEST])
      expect(answers.map(answer => answer.errorCode)).toEqual([NONE, STORAGE_ERROR, NONE])
      expect(answers.map(answer => answer.offset)).toEqual([0, -1, 1])
      fixture.bucket.onCall = () => null
      expect((await list(fixture, [5, 5])).map(answer => answer.offset)).toEqual([0, 0])
    },
  )

  it('does not answer are refused before a client gives up, however many partitions are asked for', async () => {
    const fixture = await coldBroker(40)
    fixture.bucket.onCall = () => 'hanging'
    const beganMs = fixture.clock.monotonicMs()
    const answers = await list(fixture, [LATEST, ...Array.from({ length: 39 }, () => 5)])
    expect(fixture.clock.monotonicMs() - beganMs).toBeLessThan(REQUEST_TIMEOUT_MS / 2)
    expect(answers[0]!.offset).toBe(1)
    expect(answers.slice(1).every(answer => answer.errorCode === STORAGE_ERROR)).toBe(true)
  })
})

describe('a fetch of a partition whose store does not answer', () => {
  it('brings what others have in files', async () => {
    const fixture = await coldBroker(1)
    await fixture.createTopic('filed')
    await fixture.append('filed', [{ value: 'here' }])
    await fillMemory(fixture)
    fixture.bucket.onCall = () => 'hanging'
    const wanted = { partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }
    const beganMs = fixture.clock.monotonicMs()
    const { responses } = await fixture.ask('Fetch', 12, {
      maxWaitMs: 100,
      minBytes: 1,
      maxBytes: 1 << 20,
      topics: ['t', 'filed'].map(topic => ({ topic, partitions: [wanted] })),
    })
    expect(fixture.clock.monotonicMs() - beganMs).toBeLessThan(1000)
    const [cold, filed] = responses.map(({ partitions }) => partitions[0]!)
    expect(cold).toMatchObject({ errorCode: NONE, highWatermark: 1 })
    expect(cold!.records?.length ?? 0).toBe(0)
    expect(filed!.records!.length).toBeGreaterThan(0)
  })
})

describe('a fetch during which a store takes its time', () => {
  const OFFSET_OUT_OF_RANGE = errorCode('OFFSET_OUT_OF_RANGE')
  const UNKNOWN_TOPIC_OR_PARTITION = errorCode('UNKNOWN_TOPIC_OR_PARTITION')
  const UNKNOWN_TOPIC_ID = errorCode('UNKNOWN_TOPIC_ID')

  /** Fetches partitions of the topic `t`, while something else happens as soon as the store is asked for the first of them. */
  async function fetchDuring(
    fixture: BrokerFixture,
    { version, partitions }: { version: 12 | 13; partitions: number },
    happening: () => Promise<unknown>,
  ) {
    let isAsked = false
    fixture.bucket.onCall = () => {
      isAsked = true
      return null
    }
    const wanted = Array.from({ length: partitions }, (_, partition) => {
      return { partition, fetchOffset: 0, partitionMaxBytes: 1 << 20 }
    })
    const topic = version === 12 ? { topic: 't' } : { topicId: fixture.partition('t').topic.id }
    const body = { maxWaitMs: 0, minBytes: 1, maxBytes: 1 << 20, topics: [{ ...topic, partitions: wanted }] }
    const fetching = fixture.begin('Fetch', version, body)
    await fixture.clock.runUntil(() => isAsked)
    const [{ responses }] = await fixture.clock.run(Promise.all([fetching, happening()]))
    return responses[0]!.partitions
  }

  it('says of a later partition alone that its records are gone', async () => {
    const fixture = await coldBroker(3)
    const partitions = [{ partitionIndex: 1, offset: 1 }]
    const answers = await fetchDuring(fixture, { version: 12, partitions: 3 }, () =>
      fixture.begin('DeleteRecords', 2, { topics: [{ name: 't', partitions }], timeoutMs: 1000 }),
    )
    expect(answers.map(answer => answer.partitionIndex)).toEqual([0, 1, 2])
    expect(answers.map(answer => answer.errorCode)).toEqual([NONE, OFFSET_OUT_OF_RANGE, NONE])
    expect(answers.map(answer => (answer.records?.length ?? 0) > 0)).toEqual([true, false, true])
  })

  it.each([
    [12, UNKNOWN_TOPIC_OR_PARTITION],
    [13, UNKNOWN_TOPIC_ID],
  ] as const)(
    'answers no records of a topic in whose place there is another one, in version %i',
    async (version, gone) => {
      const fixture = await coldBroker(1)
      const old = fixture.partition('t')
      const [answer] = await fetchDuring(fixture, { version, partitions: 1 }, async () => {
        await fixture.begin('DeleteTopics', 5, { topicNames: ['t'], timeoutMs: 1000 })
        const topic = { name: 't', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
        await fixture.begin('CreateTopics', 7, { topics: [topic], timeoutMs: 1000 })
      })
      expect(fixture.partition('t')).not.toBe(old)
      expect(answer).toMatchObject({ errorCode: gone })
      expect(answer!.records?.length ?? 0).toBe(0)
    },
  )
})

/** Pushes what was appended before out of memory. */
async function fillMemory(fixture: BrokerFixture): Promise<void> {
  await fixture.createTopic('filler')
  for (let i = 0; i < 40; i++) await fixture.append('filler', [{ value: 'x'.repeat(100_000) }])
}
