import { describe, expect, it, vi } from 'vitest'
import { NewTopics, PartitionRoom } from '#kafka/topic-creation.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

const NAMES = Array.from({ length: 50 }, (_, i) => `new.topic_${i}`)

describe('the new topics of a request', () => {
  it('collide with those that are there and those before them, and with no other', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('a.b')
    const topics = new NewTopics(fixture.broker)
    expect(topics.checkName('a_b')?.message).toContain('a.b')
    expect(topics.checkName('a_b_c')).toBeNull()
    expect(topics.checkName('a.b.c')).toBeNull()
    expect(topics.plan('a_b_c', 1)).toBeNull()
    expect(topics.checkName('a.b.c')?.message).toContain('a_b_c')
    expect(topics.checkName('abc')).toBeNull()
  })

  it('that find no room do not take their name', async () => {
    const fixture = await BrokerFixture.start({ maxPartitions: 3 })
    const topics = new NewTopics(fixture.broker)
    expect(topics.plan('a.b', 4)?.code).toBe('POLICY_VIOLATION')
    expect(topics.checkName('a_b')).toBeNull()
    expect(topics.plan('a_b', 3)).toBeNull()
    expect(topics.plan('c', 1)?.message).toContain('max-partitions')
  })
})

describe('what a request that makes many topics asks of those that are there', () => {
  async function walksDuring(work: (fixture: BrokerFixture) => Promise<unknown>): Promise<number> {
    const fixture = await BrokerFixture.start()
    for (let i = 0; i < 3; i++) await fixture.createTopic(`old.topic_${i}`)
    const walks = [vi.spyOn(fixture.state.topics, 'keys'), vi.spyOn(fixture.state, 'partitionCount')]
    await work(fixture)
    return walks.reduce((sum, walk) => sum + walk.mock.calls.length, 0)
  }

  it('is one walk over their names and one over their partitions', async () => {
    const topicOf = (name: string) => ({ name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] })
    const created = await walksDuring(async fixture => {
      const { topics } = await fixture.ask('CreateTopics', 7, { topics: NAMES.map(topicOf), timeoutMs: 1000 })
      for (const { errorCode } of topics) expect(errorCode).toBe(0)
    })
    expect(created).toBe(2)
    const asked = await walksDuring(async fixture => {
      const { topics } = await fixture.ask('Metadata', 9, { topics: NAMES.map(name => ({ name })) })
      for (const { errorCode } of topics) expect(errorCode).toBe(0)
    })
    expect(asked).toBe(2)
  })

  it('is one walk over their partitions where they grow', async () => {
    const walks = await walksDuring(async fixture => {
      const topics = [0, 1, 2].map(i => ({ name: `old.topic_${i}`, count: 3, assignments: null }))
      const { results } = await fixture.ask('CreatePartitions', 3, { topics, timeoutMs: 1000, validateOnly: true })
      for (const { errorCode } of results) expect(errorCode).toBe(0)
    })
    expect(walks).toBe(1)
  })
})

describe('room for partitions', () => {
  it('is what the setting leaves, and is taken once', async () => {
    const fixture = await BrokerFixture.start({ maxPartitions: 5 })
    await fixture.createTopic('t', { partitions: 2 })
    const room = new PartitionRoom(fixture.broker)
    expect(room.take(2)).toBeNull()
    expect(room.take(2)?.message).toContain('2 more would make 6 partitions')
    expect(room.take(1)).toBeNull()
  })
})
