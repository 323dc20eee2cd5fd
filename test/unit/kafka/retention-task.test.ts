import { describe, expect, it, onTestFinished } from 'vitest'
import type { Settings } from '#config/settings.ts'
import { startRetention } from '#kafka/retention-task.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import { countTurns } from '#test/support/turns.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

async function startWithRetention(overrides: Partial<Settings> = {}): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start(overrides)
  onTestFinished(startRetention(fixture.broker))
  return fixture
}

/** A topic with one batch of one record, as old as the clock says. */
async function topicWithRecord(fixture: BrokerFixture, name: string, configs: Record<string, string> = {}) {
  await fixture.createTopic(name, { configs })
  await fixture.append(name, [{ timestampMs: fixture.clock.nowMs() }])
}

describe('retention', () => {
  it('moves the log start behind records that are older than retention.ms, at the next check', async () => {
    const fixture = await startWithRetention({ retentionCheckIntervalMs: 5 * MINUTE_MS })
    await topicWithRecord(fixture, 'short', { 'retention.ms': '60000' })
    await topicWithRecord(fixture, 'long', { 'retention.ms': '600000' })
    await fixture.clock.runFor(4 * MINUTE_MS)
    expect(fixture.partition('short').logStart).toBe(0)
    await fixture.clock.runFor(2 * MINUTE_MS)
    expect(fixture.partition('short').logStart).toBe(1)
    expect(fixture.partition('long').logStart).toBe(0)
    await fixture.clock.runFor(10 * MINUTE_MS)
    expect(fixture.partition('long').logStart).toBe(1)
  })

  it('keeps what a topic has up to retention.bytes', async () => {
    const fixture = await startWithRetention()
    await fixture.createTopic('small', { configs: { 'retention.bytes': '3000', 'segment.bytes': '1048576' } })
    await fixture.createTopic('large')
    for (const topic of ['small', 'large']) {
      for (let i = 0; i < 30; i++) {
        await fixture.append(topic, [{ timestampMs: fixture.clock.nowMs(), value: 'x'.repeat(200_000) }])
      }
    }
    await fixture.clock.runFor(6 * MINUTE_MS)
    expect(fixture.partition('small').logStart).toBeGreaterThan(0)
    expect(fixture.partition('large').logStart).toBe(0)
  })

  it('leaves alone what is only compacted, and what nothing limits', async () => {
    const fixture = await startWithRetention()
    await topicWithRecord(fixture, 'compacted', { 'cleanup.policy': 'compact', 'retention.ms': '1' })
    await topicWithRecord(fixture, 'forever', { 'retention.ms': '-1' })
    await fixture.clock.runFor(30 * DAY_MS)
    expect(fixture.partition('compacted').logStart).toBe(0)
    expect(fixture.partition('forever').logStart).toBe(0)
  })

  it('looks at many partitions in turns that leave the thread to others', async () => {
    const fixture = await startWithRetention({ retentionCheckIntervalMs: 5 * MINUTE_MS })
    for (const name of ['one', 'two', 'three']) await fixture.createTopic(name, { partitions: 500 })
    const turns = countTurns(fixture.clock)
    await fixture.clock.runFor(6 * MINUTE_MS)
    expect(turns.count).toBeGreaterThanOrEqual(3)
    expect(turns.count).toBeLessThan(30)
  })

  it('follows configs that are altered later', async () => {
    const fixture = await startWithRetention()
    await topicWithRecord(fixture, 'altered')
    await fixture.clock.runFor(6 * MINUTE_MS)
    expect(fixture.partition('altered').logStart).toBe(0)
    const { id } = fixture.partition('altered').topic
    await fixture.propose({ kind: 'topic-configs-set', id, configs: new Map([['retention.ms', '1000']]) })
    await fixture.clock.runFor(6 * MINUTE_MS)
    expect(fixture.partition('altered').logStart).toBe(1)
  })

  it('reaches every partition once, not too many at a time', async () => {
    const fixture = await startWithRetention()
    await fixture.createTopic('wide', { partitions: 600, configs: { 'retention.ms': '1000' } })
    for (let partition = 0; partition < 600; partition++) {
      await fixture.append('wide', [{ timestampMs: fixture.clock.nowMs() }], { partition })
    }
    const { log } = fixture.broker
    let [proposed, underWay, mostUnderWay] = [0, 0, 0]
    const propose = log.propose.bind(log)
    log.propose = async change => {
      proposed++
      underWay++
      mostUnderWay = Math.max(mostUnderWay, underWay)
      return propose(change).finally(() => underWay--)
    }
    await fixture.clock.runFor(6 * MINUTE_MS)
    expect(proposed).toBe(600)
    expect(mostUnderWay).toBeLessThanOrEqual(256)
    const { partitions } = fixture.partition('wide').topic
    expect(partitions.filter(({ logStart }) => logStart === 1)).toHaveLength(600)
  })

  it('is tried again after the disk was full', async () => {
    const fixture = await startWithRetention()
    await topicWithRecord(fixture, 'late', { 'retention.ms': '1000' })
    fixture.fillDisk()
    await fixture.clock.runFor(6 * MINUTE_MS)
    expect(fixture.partition('late').logStart).toBe(0)
    fixture.disk.onCall = () => null
    await fixture.clock.runFor(6 * MINUTE_MS)
    expect(fixture.partition('late').logStart).toBe(1)
  })

  it('ends when it is told to', async () => {
    const fixture = await BrokerFixture.start()
    const stop = startRetention(fixture.broker)
    await topicWithRecord(fixture, 'kept', { 'retention.ms': '1000' })
    await stop()
    await fixture.clock.runFor(DAY_MS)
    expect(fixture.partition('kept').logStart).toBe(0)
  })
})

describe('what is remembered of producers', () => {
  const batchOf = (producerId: number) => ({ producerId, producerEpoch: 0, baseSequence: 0 })

  it('is forgotten when they were silent for long enough', async () => {
    const fixture = await startWithRetention({ producerIdExpirationMs: 60 * MINUTE_MS })
    await fixture.createTopic('t')
    await fixture.append('t', [{ value: 'a' }], batchOf(1))
    await fixture.clock.runFor(30 * MINUTE_MS)
    await fixture.append('t', [{ value: 'b' }], batchOf(2))
    await fixture.clock.runFor(45 * MINUTE_MS)
    expect([...fixture.partition('t').producers!.keys()]).toEqual([2])
    await fixture.clock.runFor(45 * MINUTE_MS)
    expect(fixture.partition('t').producers).toBeNull()
  })

  it('costs no record while nobody is silent for long', async () => {
    const fixture = await startWithRetention()
    await fixture.createTopic('t')
    await fixture.append('t', [{ timestampMs: fixture.clock.nowMs() }], batchOf(1))
    const { position } = fixture.broker.log.commits
    await fixture.clock.runFor(3 * 60 * MINUTE_MS)
    expect(fixture.broker.log.commits.position).toBe(position)
  })
})

describe('offsets of a consumer group', () => {
  const JOINS = { memberEpoch: 0, rebalanceTimeoutMs: 60_000, subscribedTopicNames: ['t'], topicPartitions: [] }

  /** Offsets of a topic that the group's only member wants, and of one that it does not. */
  async function groupWithOffsets(): Promise<BrokerFixture> {
    const fixture = await startWithRetention({ offsetsRetentionMs: 60 * MINUTE_MS })
    await fixture.createTopic('t')
    await fixture.createTopic('other')
    await fixture.ask('ConsumerGroupHeartbeat', 1, { groupId: 'g', memberId: 'a', ...JOINS })
    for (const name of ['t', 'other']) {
      await fixture.ask('OffsetCommit', 9, {
        groupId: 'g',
        memberId: 'a',
        generationIdOrMemberEpoch: 2,
        groupInstanceId: null,
        topics: [{ name, partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }] }],
      })
    }
    return fixture
  }

  async function stayAlive(fixture: BrokerFixture, minutes: number): Promise<void> {
    for (let i = 0; i < minutes * 2; i++) {
      await fixture.clock.runFor(MINUTE_MS / 2)
      await fixture.ask('ConsumerGroupHeartbeat', 1, { groupId: 'g', memberId: 'a', memberEpoch: 2 })
    }
  }

  it('stay while a member wants their topic', async () => {
    const fixture = await groupWithOffsets()
    await stayAlive(fixture, 75)
    const topics = [...fixture.state.groups.get('g')!.offsets.keys()].map(id => fixture.state.topicsById.get(id)?.name)
    expect(topics).toEqual(['t'])
  })

  it('go when nobody does, and the group with the last of them', async () => {
    const fixture = await groupWithOffsets()
    await fixture.clock.runFor(50 * MINUTE_MS)
    expect(fixture.state.groups.get('g')!.consumer!.members.size).toBe(0)
    expect(fixture.state.groups.get('g')!.offsets.size).toBe(2)
    await fixture.clock.runFor(30 * MINUTE_MS)
    expect(fixture.state.groups.size).toBe(0)
  })

  async function commit(fixture: BrokerFixture): Promise<void> {
    const partitions = [{ partitionIndex: 0, committedOffset: 5, committedMetadata: '' }]
    await fixture.ask('OffsetCommit', 8, { groupId: 'g', topics: [{ name: 't', partitions }] })
  }

  const committedIn = (fixture: BrokerFixture): number | undefined =>
    fixture.state.groups.get('g')?.offsets.get(fixture.partition('t').topic.id)?.get(0)?.offset

  it('stay, with their group, as long as an open transaction is about to change them', async () => {
    const fixture = await startWithRetention({ offsetsRetentionMs: 60 * MINUTE_MS, transactionMaxTimeoutMs: DAY_MS })
    await fixture.createTopic('t')
    const producer = await fixture.ask('InitProducerId', 5, { transactionalId: 'copier', transactionTimeoutMs: DAY_MS })
    const asking = { transactionalId: 'copier', producerId: producer.producerId, producerEpoch: producer.producerEpoch }
    const partitions = [{ partitionIndex: 0, committedOffset: 7, committedMetadata: '' }]
    await fixture.ask('TxnOffsetCommit', 5, { ...asking, groupId: 'g', topics: [{ name: 't', partitions }] })
    await fixture.clock.runFor(3 * 60 * MINUTE_MS)
    await fixture.ask('EndTxn', 5, { ...asking, committed: true })
    expect(committedIn(fixture)).toBe(7)
  })

  it('stay if they are committed again while they are found to be expired', async () => {
    const fixture = await startWithRetention({ offsetsRetentionMs: 60 * MINUTE_MS })
    await fixture.createTopic('t')
    await commit(fixture)
    const { log } = fixture.broker
    const foundAt = log.state.commitCount
    const topics = [{ topicId: fixture.partition('t').topic.id, partitions: [0] }]
    // Both are on their way together, the commit first.
    const committing = commit(fixture)
    const expiring = log.propose({ kind: 'offsets-expired', groupId: 'g', foundAt, topics, removesGroup: true })
    await fixture.clock.run(Promise.all([committing, expiring]))
    expect(committedIn(fixture)).toBe(5)
  })
})
