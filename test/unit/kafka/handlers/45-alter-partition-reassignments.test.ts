import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

async function reassign(replicas: number[] | null, version = 1) {
  const fixture = await BrokerFixture.start()
  await fixture.createTopic('t')
  const topics = [
    {
      name: 't',
      partitions: [
        { partitionIndex: 0, replicas },
        { partitionIndex: 1, replicas },
      ],
    },
    { name: 'none', partitions: [{ partitionIndex: 0, replicas }] },
  ]
  const answer = await fixture.ask('AlterPartitionReassignments', version, { topics, timeoutMs: 1000 })
  expect(answer.errorCode).toBe(0)
  const errors = answer.responses.flatMap(({ partitions }) => partitions.map(one => errorName(one.errorCode)))
  expect(errors.slice(1)).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_OR_PARTITION'])
  return errors[0]
}

describe('AlterPartitionReassignments', () => {
  it('moves a partition to where it is', async () => {
    expect(await reassign([1], 0)).toBe('NONE')
    expect(await reassign([1], 1)).toBe('NONE')
  })

  it('moves it nowhere else', async () => {
    for (const replicas of [[2], [1, 2], [1, 1], []])
      expect(await reassign(replicas)).toBe('INVALID_REPLICA_ASSIGNMENT')
  })

  it('has nothing to cancel', async () => {
    expect(await reassign(null)).toBe('NO_REASSIGNMENT_IN_PROGRESS')
  })
})

describe('ListPartitionReassignments', () => {
  it('lists none', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('t')
    for (const topics of [null, [{ name: 't', partitionIndexes: [0] }]]) {
      const answer = await fixture.ask('ListPartitionReassignments', 0, { topics, timeoutMs: 1000 })
      expect(answer).toMatchObject({ errorCode: 0, errorMessage: null, topics: [] })
    }
  })
})
