import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

async function describePartition(fixture: BrokerFixture, name: string, index: number) {
  const topics = [{ name, partitionIndexes: [index] }]
  return (await fixture.ask('DescribeProducers', 0, { topics })).topics[0]!.partitions[0]!
}

describe('DescribeProducers', () => {
  it('tells what a partition remembers of its idempotent producers', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('t')
    await fixture.append('t', [{ value: 'plain' }])
    const first = { producerId: 11, producerEpoch: 2, baseSequence: 0 }
    await fixture.append('t', [{ timestampMs: 5 }, { timestampMs: 9 }], first)
    await fixture.append('t', [{ timestampMs: 7 }], { ...first, baseSequence: 2 })
    await fixture.append('t', [{ timestampMs: 6 }], { producerId: 12, producerEpoch: 0, baseSequence: 0 })
    const { errorCode, activeProducers } = await describePartition(fixture, 't', 0)
    expect(errorCode).toBe(0)
    const withoutTransactions = { coordinatorEpoch: -1, currentTxnStartOffset: -1 }
    expect(activeProducers).toEqual([
      { producerId: 11, producerEpoch: 2, lastSequence: 2, lastTimestamp: 7, ...withoutTransactions },
      { producerId: 12, producerEpoch: 0, lastSequence: 0, lastTimestamp: 6, ...withoutTransactions },
    ])
  })

  it('tells of none where there were none', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('t')
    expect(await describePartition(fixture, 't', 0)).toMatchObject({ errorCode: 0, activeProducers: [] })
  })

  it.each([
    ['t', 1, 'UNKNOWN_TOPIC_OR_PARTITION'],
    ['none', 0, 'UNKNOWN_TOPIC_OR_PARTITION'],
    ['a b', 0, 'INVALID_TOPIC_EXCEPTION'],
  ])('refuses %j %i', async (name, index, error) => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('t')
    expect(errorName((await describePartition(fixture, name, index)).errorCode)).toBe(error)
  })
})
