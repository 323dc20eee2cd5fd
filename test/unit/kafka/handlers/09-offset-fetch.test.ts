import { describe, expect, it, vi } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

const TOPIC = 'ledger'
const GROUP = 'readers'

/** Each open transaction is about to commit the offset of one partition, from the first on. */
async function brokerWith(options: { partitions: number; transactions: number }): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start()
  await fixture.createTopic(TOPIC, { partitions: options.partitions })
  const { id } = fixture.partition(TOPIC).topic
  for (let i = 0; i < options.transactions; i++) {
    const asked = { transactionalId: `t${i}`, transactionTimeoutMs: 60_000 }
    const { producerId, producerEpoch } = await fixture.ask('InitProducerId', 5, asked)
    const partitions = [{ partitionIndex: i, committedOffset: 7, committedMetadata: '' }]
    const topics = [{ name: TOPIC, topicId: id, partitions }]
    await fixture.ask('TxnOffsetCommit', 5, { ...asked, groupId: GROUP, producerId, producerEpoch, topics })
  }
  return fixture
}

describe('offsets of which only stable ones are wanted', () => {
  it('are told without a look at every open transaction for every partition', async () => {
    const fixture = await brokerWith({ partitions: 100, transactions: 20 })
    const walks = vi.spyOn(fixture.state.groups.get(GROUP)!.pending, 'values')
    const wanted = { name: TOPIC, partitionIndexes: Array.from({ length: 100 }, (_, i) => i) }
    const groups = Array.from({ length: 10 }, () => ({ groupId: GROUP, topics: [wanted, wanted] }))
    const answer = await fixture.ask('OffsetFetch', 8, { groups, requireStable: true })
    expect(walks).toHaveBeenCalledTimes(1)
    const expected = wanted.partitionIndexes.map(i => (i < 20 ? 'UNSTABLE_OFFSET_COMMIT' : 'NONE'))
    for (const { topics } of answer.groups) {
      for (const { partitions } of topics) {
        expect(partitions.map(({ errorCode }) => errorName(errorCode))).toEqual(expected)
      }
    }
  })

  it('are refused where a transaction is open, also if all of the group are wanted', async () => {
    const fixture = await brokerWith({ partitions: 3, transactions: 1 })
    const partitions = [0, 1].map(partitionIndex => ({ partitionIndex, committedOffset: 5, committedMetadata: '' }))
    const nobody = { groupId: GROUP, generationIdOrMemberEpoch: -1, memberId: '' }
    await fixture.ask('OffsetCommit', 7, { ...nobody, topics: [{ name: TOPIC, partitions }] })
    const codesOf = async (requireStable: boolean) => {
      const { topics } = await fixture.ask('OffsetFetch', 7, { groupId: GROUP, topics: null, requireStable })
      return topics[0]!.partitions.map(({ errorCode }) => errorName(errorCode))
    }
    expect(await codesOf(true)).toEqual(['UNSTABLE_OFFSET_COMMIT', 'NONE'])
    expect(await codesOf(false)).toEqual(['NONE', 'NONE'])
  })
})
