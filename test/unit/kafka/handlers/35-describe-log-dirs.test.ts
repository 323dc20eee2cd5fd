import { describe, expect, it } from 'vitest'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

async function brokerWithRecords(): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start()
  await fixture.createTopic('a', { partitions: 2 })
  await fixture.createTopic('b')
  await fixture.append('a', [{ value: 'x'.repeat(5000) }], { partition: 1 })
  return fixture
}

describe('DescribeLogDirs', () => {
  it('says what each partition takes, in every version', async () => {
    const fixture = await brokerWithRecords()
    const empty = { partitionSize: 0, offsetLag: 0, isFutureKey: false }
    for (let version = 1; version <= 5; version++) {
      const answer = await fixture.ask('DescribeLogDirs', version, { topics: null })
      expect(answer.errorCode).toBe(0)
      expect(answer.results).toMatchObject([{ errorCode: 0, logDir: '/data' }])
      const [a, b] = answer.results[0]!.topics
      expect(a).toMatchObject({ name: 'a', partitions: [{ partitionIndex: 0, ...empty }, { partitionIndex: 1 }] })
      expect(a!.partitions[1]!.partitionSize).toBeGreaterThan(5000)
      expect(a!.partitions[1]!.partitionSize).toBeLessThan(5200)
      expect(b).toEqual({ name: 'b', partitions: [{ partitionIndex: 0, ...empty }] })
    }
  })

  it('counts no more what retention has removed', async () => {
    const fixture = await brokerWithRecords()
    await fixture.propose({ kind: 'log-start-moved', ordinal: fixture.partition('a', 1).ordinal, offset: 1 })
    const { results } = await fixture.ask('DescribeLogDirs', 4, { topics: [{ topic: 'a', partitions: [1] }] })
    expect(results[0]!.topics[0]!.partitions[0]!.partitionSize).toBe(0)
  })

  it('answers the partitions that are asked for and are there, once', async () => {
    const fixture = await brokerWithRecords()
    const topics = [
      { topic: 'a', partitions: [1, 1, 2] },
      { topic: 'b', partitions: [3] },
      { topic: 'none', partitions: [0] },
    ]
    const { results } = await fixture.ask('DescribeLogDirs', 4, { topics })
    expect(results[0]!.topics).toMatchObject([{ name: 'a', partitions: [{ partitionIndex: 1 }] }])
    expect((await fixture.ask('DescribeLogDirs', 4, { topics: [] })).results[0]!.topics).toEqual([])
  })

  it('tells the space of the disk from version 4 on', async () => {
    const fixture = await brokerWithRecords()
    fixture.disk.capacityBytes = 50_000_000
    const { results } = await fixture.ask('DescribeLogDirs', 4, { topics: [] })
    const { freeBytes } = await fixture.disk.space()
    expect(results[0]).toMatchObject({ totalBytes: 50_000_000, usableBytes: freeBytes })
    const early = await fixture.ask('DescribeLogDirs', 3, { topics: [] })
    expect(early.results[0]).toMatchObject({ totalBytes: -1, usableBytes: -1 })
  })
})
