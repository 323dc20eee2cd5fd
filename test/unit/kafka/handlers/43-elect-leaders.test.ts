import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

describe('ElectLeaders', () => {
  it('needs no election, in any version', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('t')
    const topicPartitions = [
      { topic: 't', partitions: [0, 1] },
      { topic: 'none', partitions: [0] },
    ]
    for (let version = 0; version <= 2; version++) {
      const answer = await fixture.ask('ElectLeaders', version, { topicPartitions, timeoutMs: 1000 })
      expect(answer.errorCode).toBe(0)
      const errors = answer.replicaElectionResults.map(({ partitionResult }) => {
        return partitionResult.map(({ errorCode }) => errorName(errorCode))
      })
      expect(errors).toEqual([['ELECTION_NOT_NEEDED', 'UNKNOWN_TOPIC_OR_PARTITION'], ['UNKNOWN_TOPIC_OR_PARTITION']])
    }
  })

  it('has elected nobody when asked for all partitions', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('t')
    const answer = await fixture.ask('ElectLeaders', 2, { topicPartitions: null, timeoutMs: 1000 })
    expect(answer).toMatchObject({ errorCode: 0, replicaElectionResults: [{ topic: 't', partitionResult: [] }] })
  })

  it('refuses an election of a type that there is not', async () => {
    const fixture = await BrokerFixture.start()
    const topicPartitions = [{ topic: 't', partitions: [0] }]
    const answer = await fixture.ask('ElectLeaders', 2, { electionType: 2, topicPartitions, timeoutMs: 1000 })
    expect(errorName(answer.errorCode)).toBe('INVALID_REQUEST')
    const [partition] = answer.replicaElectionResults[0]!.partitionResult
    expect(partition).toMatchObject({ errorCode: answer.errorCode, errorMessage: 'Unknown election type 2' })
  })
})
