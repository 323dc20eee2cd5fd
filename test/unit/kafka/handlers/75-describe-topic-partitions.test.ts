import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

interface Cursor {
  topicName: string
  partitionIndex: number
}

async function brokerWith(topics: Record<string, number>): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start()
  for (const [name, partitions] of Object.entries(topics)) await fixture.createTopic(name, { partitions })
  return fixture
}

/** One page: the partitions of each topic, and where the next page begins. */
async function page(fixture: BrokerFixture, names: readonly string[], limit: number, cursor: Cursor | null = null) {
  const answer = await fixture.ask('DescribeTopicPartitions', 0, {
    topics: names.map(name => ({ name })),
    responsePartitionLimit: limit,
    cursor,
  })
  const topics = answer.topics.map(({ name, errorCode, partitions }) => {
    return [name, errorCode === 0 ? partitions.map(one => one.partitionIndex) : errorName(errorCode)]
  })
  return { topics, next: answer.nextCursor }
}

describe('DescribeTopicPartitions', () => {
  it('describes topics and their partitions', async () => {
    const fixture = await brokerWith({ t: 1 })
    const answer = await fixture.ask('DescribeTopicPartitions', 0, { topics: [{ name: 't' }], cursor: null })
    expect(answer).toMatchObject({ throttleTimeMs: 0, nextCursor: null })
    expect(answer.topics).toEqual([
      {
        errorCode: 0,
        name: 't',
        topicId: fixture.partition('t').topic.id,
        isInternal: false,
        partitions: [
          {
            errorCode: 0,
            partitionIndex: 0,
            leaderId: 1,
            leaderEpoch: 0,
            replicaNodes: [1],
            isrNodes: [1],
            eligibleLeaderReplicas: [],
            lastKnownElr: [],
            offlineReplicas: [],
          },
        ],
        topicAuthorizedOperations: 3576,
      },
    ])
  })

  it('answers in the order of names, each once, with errors in their places', async () => {
    const fixture = await brokerWith({ b: 1, a: 2 })
    const { topics, next } = await page(fixture, ['c', 'b', 'a', 'b', 'a b'], 100)
    expect(topics).toEqual([
      ['a', [0, 1]],
      ['a b', 'INVALID_TOPIC_EXCEPTION'],
      ['b', [0]],
      ['c', 'UNKNOWN_TOPIC_OR_PARTITION'],
    ])
    expect(next).toBeNull()
  })

  it.each([1, 2, 3, 4, 5, 100])('shows every partition once over pages of %i', async limit => {
    const fixture = await brokerWith({ b: 3, a: 2, c: 4 })
    for (const names of [[], ['c', 'b', 'a']]) {
      const seen: string[] = []
      let cursor: Cursor | null = null
      do {
        const { topics, next } = await page(fixture, names, limit, cursor)
        const partitions = topics.flatMap(([name, indexes]) => [...(indexes ?? [])].map(index => `${name}-${index}`))
        expect(partitions.length).toBeLessThanOrEqual(limit)
        seen.push(...partitions)
        cursor = next
      } while (cursor !== null)
      expect(seen).toEqual(['a-0', 'a-1', 'b-0', 'b-1', 'b-2', 'c-0', 'c-1', 'c-2', 'c-3'])
    }
  })

  it('names the next topic when a page ends with the last partition of one', async () => {
    const fixture = await brokerWith({ a: 2, b: 1 })
    const { topics, next } = await page(fixture, [], 2)
    expect(topics).toEqual([['a', [0, 1]]])
    expect(next).toEqual({ topicName: 'b', partitionIndex: 0 })
  })

  it('has at least one and at most 2000 partitions on a page', async () => {
    const fixture = await brokerWith({ t: 2500 })
    for (const limit of [0, -5]) expect((await page(fixture, ['t'], limit)).topics).toEqual([['t', [0]]])
    const { topics, next } = await page(fixture, ['t'], 1_000_000)
    expect(topics[0]?.[1]).toHaveLength(2000)
    expect(next).toEqual({ topicName: 't', partitionIndex: 2000 })
  })

  it('goes on behind a topic that was deleted between two pages', async () => {
    const fixture = await brokerWith({ a: 1, c: 1 })
    const { topics } = await page(fixture, [], 10, { topicName: 'b', partitionIndex: 3 })
    expect(topics).toEqual([['c', [0]]])
  })

  it('refuses a cursor that belongs to another list, or to no partition', async () => {
    const fixture = await brokerWith({ a: 1, b: 1 })
    const other = await page(fixture, ['a', 'b'], 10, { topicName: 'c', partitionIndex: 0 })
    expect(other.topics).toEqual([
      ['a', 'INVALID_REQUEST'],
      ['b', 'INVALID_REQUEST'],
    ])
    const none = await page(fixture, ['a'], 10, { topicName: 'a', partitionIndex: -1 })
    expect(none.topics).toEqual([['a', 'INVALID_REQUEST']])
  })
})
