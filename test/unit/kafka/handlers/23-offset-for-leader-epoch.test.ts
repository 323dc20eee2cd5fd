import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

async function ask(fields: { leaderEpoch: number; currentLeaderEpoch?: number; partition?: number }, version = 4) {
  const fixture = await BrokerFixture.start()
  await fixture.createTopic('t')
  await fixture.append('t', [{ value: 'a' }, { value: 'b' }, { value: 'c' }])
  await fixture.propose({ kind: 'log-start-moved', ordinal: fixture.partition('t').ordinal, offset: 1 })
  const topics = [{ topic: 't', partitions: [{ partition: 0, currentLeaderEpoch: -1, ...fields }] }]
  const answer = await fixture.ask('OffsetForLeaderEpoch', version, { topics })
  const { errorCode, leaderEpoch, endOffset } = answer.topics[0]!.partitions[0]!
  return [errorName(errorCode), leaderEpoch, endOffset]
}

describe('OffsetForLeaderEpoch', () => {
  it.each([2, 3, 4])('says in version %i that the one epoch reaches to the end', async version => {
    expect(await ask({ leaderEpoch: 0 }, version)).toEqual(['NONE', 0, 3])
  })

  it('knows no later epoch, and nothing before the first', async () => {
    expect(await ask({ leaderEpoch: 1 })).toEqual(['NONE', -1, -1])
    expect(await ask({ leaderEpoch: -1 })).toEqual(['NONE', -1, -1])
    expect(await ask({ leaderEpoch: -2 })).toEqual(['NONE', -2, 1])
  })

  it('refuses who believes in another epoch, or asks for what is not there', async () => {
    expect(await ask({ leaderEpoch: 0, currentLeaderEpoch: 1 })).toEqual(['UNKNOWN_LEADER_EPOCH', -1, -1])
    expect(await ask({ leaderEpoch: 0, currentLeaderEpoch: -2 })).toEqual(['FENCED_LEADER_EPOCH', -1, -1])
    expect(await ask({ leaderEpoch: 0, partition: 1 })).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', -1, -1])
  })
})
