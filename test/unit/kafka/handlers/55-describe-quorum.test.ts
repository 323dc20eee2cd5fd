import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { ADVERTISED, BrokerFixture } from '#test/support/broker-fixture.ts'

const quorum = (partitionIndex = 0) => [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex }] }]

describe('DescribeQuorum', () => {
  it('is this broker alone, which leads, in every version', async () => {
    const fixture = await BrokerFixture.start({ nodeId: 5 })
    for (let version = 0; version <= 2; version++) {
      const answer = await fixture.ask('DescribeQuorum', version, { topics: quorum() })
      expect(answer.errorCode).toBe(0)
      const [partition] = answer.topics[0]!.partitions
      expect(partition).toMatchObject({ errorCode: 0, leaderId: 5, currentVoters: [{ replicaId: 5 }], observers: [] })
      expect(partition!.highWatermark).toBeGreaterThan(0)
      expect(partition!.currentVoters[0]!.logEndOffset).toBe(partition!.highWatermark)
      const listener = { name: 'CONTROLLER', ...ADVERTISED }
      expect(answer.nodes).toEqual(version >= 2 ? [{ nodeId: 5, listeners: [listener] }] : [])
    }
  })

  it('has its end where the commit log ends', async () => {
    const fixture = await BrokerFixture.start()
    const end = async () => {
      const answer = await fixture.ask('DescribeQuorum', 2, { topics: quorum() })
      return answer.topics[0]!.partitions[0]!.highWatermark
    }
    const before = await end()
    await fixture.createTopic('t')
    expect(await end()).toBeGreaterThan(before)
  })

  it('is no other partition', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('t')
    const topics = [...quorum(1), { topicName: 't', partitions: [{ partitionIndex: 0 }] }]
    const answer = await fixture.ask('DescribeQuorum', 2, { topics })
    const errors = answer.topics.map(({ partitions }) => errorName(partitions[0]!.errorCode))
    expect(errors).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_OR_PARTITION'])
    expect(answer.nodes).toEqual([])
  })
})
