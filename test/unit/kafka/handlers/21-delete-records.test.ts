import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

const RECORDS = [{ value: 'a' }, { value: 'b' }, { value: 'c' }]

async function brokerWithRecords(configs: Record<string, string> = {}): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start()
  await fixture.createTopic('t', { configs })
  for (let i = 0; i < 2; i++) await fixture.append('t', RECORDS)
  return fixture
}

async function deleteBefore(fixture: BrokerFixture, offset: number, version = 2) {
  const topics = [{ name: 't', partitions: [{ partitionIndex: 0, offset }] }]
  const answer = await fixture.ask('DeleteRecords', version, { topics, timeoutMs: 1000 })
  const { lowWatermark, errorCode } = answer.topics[0]!.partitions[0]!
  return [errorName(errorCode), lowWatermark]
}

describe('DeleteRecords', () => {
  it('moves the log start, within a batch too, and never back', async () => {
    const fixture = await brokerWithRecords()
    expect(await deleteBefore(fixture, 1, 0)).toEqual(['NONE', 1])
    expect(await deleteBefore(fixture, 4, 1)).toEqual(['NONE', 4])
    expect(await deleteBefore(fixture, 2, 2)).toEqual(['NONE', 4])
    expect((await fixture.restart()).partition('t').logStart).toBe(4)
  })

  it('deletes everything at -1, and goes on from there', async () => {
    const fixture = await brokerWithRecords()
    expect(await deleteBefore(fixture, -1)).toEqual(['NONE', 6])
    expect(await deleteBefore(fixture, -1)).toEqual(['NONE', 6])
    expect(await fixture.append('t', RECORDS)).toBe(6)
  })

  it('refuses offsets that are not there', async () => {
    const fixture = await brokerWithRecords()
    expect(await deleteBefore(fixture, 7)).toEqual(['OFFSET_OUT_OF_RANGE', -1])
    expect(await deleteBefore(fixture, -2)).toEqual(['OFFSET_OUT_OF_RANGE', -1])
    expect(fixture.partition('t').logStart).toBe(0)
  })

  it('refuses topics that are compacted and nothing else', async () => {
    const compacted = await brokerWithRecords({ 'cleanup.policy': 'compact' })
    expect(await deleteBefore(compacted, 1)).toEqual(['POLICY_VIOLATION', -1])
    const both = await brokerWithRecords({ 'cleanup.policy': 'compact,delete' })
    expect(await deleteBefore(both, 1)).toEqual(['NONE', 1])
  })

  it('refuses partitions that are not there', async () => {
    const fixture = await brokerWithRecords()
    const topics = [
      { name: 't', partitions: [{ partitionIndex: 1, offset: 0 }] },
      { name: 'none', partitions: [{ partitionIndex: 0, offset: 0 }] },
    ]
    const answer = await fixture.ask('DeleteRecords', 2, { topics, timeoutMs: 1000 })
    const errors = answer.topics.map(({ partitions }) => errorName(partitions[0]!.errorCode))
    expect(errors).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_OR_PARTITION'])
  })

  it('says so when the topic is deleted meanwhile', async () => {
    const fixture = await brokerWithRecords()
    const deleting = fixture.begin('DeleteTopics', 6, { topics: [{ name: 't' }], timeoutMs: 1000 })
    const answer = await deleteBefore(fixture, 3)
    await fixture.clock.run(deleting)
    expect(answer).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', -1])
  })

  it('says that the storage failed when the disk is full', async () => {
    const fixture = await brokerWithRecords()
    fixture.fillDisk()
    expect(await deleteBefore(fixture, 3)).toEqual(['KAFKA_STORAGE_ERROR', -1])
    expect(fixture.partition('t').logStart).toBe(0)
  })
})
