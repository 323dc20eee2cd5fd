import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

interface Wanted {
  name: string
  count: number
  assignments: { brokerIds: number[] }[] | null
}

const grown = (name: string, count: number, assignments: Wanted['assignments'] = null): Wanted => ({
  name,
  count,
  assignments,
})

async function grow(fixture: BrokerFixture, topics: readonly Wanted[], validateOnly = false, version = 3) {
  const { results } = await fixture.ask('CreatePartitions', version, { topics, timeoutMs: 1000, validateOnly })
  return results.map(({ name, errorCode, errorMessage }) => [name, errorName(errorCode), errorMessage])
}

async function brokerWithTopic(maxPartitions = 100): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start({ maxPartitions })
  await fixture.createTopic('t', { partitions: 2 })
  return fixture
}

describe('CreatePartitions', () => {
  it('lets topics grow, in every version', async () => {
    const fixture = await brokerWithTopic()
    for (let version = 0; version <= 3; version++) {
      expect(await grow(fixture, [grown('t', 3 + version)], false, version)).toEqual([['t', 'NONE', null]])
      expect(fixture.partition('t').topic.partitions).toHaveLength(3 + version)
    }
    expect((await fixture.restart()).partition('t').topic.partitions).toHaveLength(6)
  })

  it('takes assignments of the new partitions to the one broker', async () => {
    const fixture = await brokerWithTopic()
    expect(await grow(fixture, [grown('t', 3, [{ brokerIds: [1] }])])).toEqual([['t', 'NONE', null]])
  })

  it('changes nothing when it is only to validate', async () => {
    const fixture = await brokerWithTopic()
    expect(await grow(fixture, [grown('t', 3)], true)).toEqual([['t', 'NONE', null]])
    expect(fixture.partition('t').topic.partitions).toHaveLength(2)
  })

  it.each([
    [grown('t', 2), 'INVALID_PARTITIONS', 'Topic already has 2 partition(s).'],
    [grown('t', 1), 'INVALID_PARTITIONS', '1 would not be an increase'],
    [grown('t', -1), 'INVALID_PARTITIONS', '-1 would not be an increase'],
    [grown('t', 4, [{ brokerIds: [1] }]), 'INVALID_REPLICA_ASSIGNMENT', 'only 1 assignment(s) were specified'],
    [grown('t', 3, [{ brokerIds: [2] }]), 'INVALID_REPLICA_ASSIGNMENT', 'no such broker'],
    [grown('t', 101), 'POLICY_VIOLATION', 'max-partitions'],
    [grown('none', 3), 'UNKNOWN_TOPIC_OR_PARTITION', ''],
  ])('refuses %j with %s', async (wanted, error, message) => {
    const fixture = await brokerWithTopic()
    expect(await grow(fixture, [wanted])).toEqual([[wanted.name, error, expect.stringContaining(message)]])
    expect(fixture.partition('t').topic.partitions).toHaveLength(2)
  })

  it('answers one result for each topic, and refuses one that comes twice', async () => {
    const fixture = await brokerWithTopic()
    await fixture.createTopic('u')
    const answers = await grow(fixture, [grown('t', 3), grown('u', 3), grown('t', 4)])
    expect(answers).toEqual([
      ['t', 'INVALID_REQUEST', 'Duplicate topic name.'],
      ['u', 'NONE', null],
    ])
  })

  it('never has more partitions than there may be, though many ask at the same time', async () => {
    const fixture = await brokerWithTopic(6)
    for (const name of ['a', 'b']) await fixture.createTopic(name)
    const asked = ['t', 'a', 'b'].map(name =>
      fixture.begin('CreatePartitions', 3, { topics: [grown(name, 3)], timeoutMs: 1000, validateOnly: false }),
    )
    const answers = await fixture.clock.run(Promise.all(asked))
    const errors = answers.map(({ results }) => errorName(results[0]!.errorCode))
    expect(errors).toEqual(['NONE', 'POLICY_VIOLATION', 'POLICY_VIOLATION'])
    expect(fixture.state.partitionCount()).toBe(5)
  })

  it('says so when the topic is deleted meanwhile', async () => {
    const fixture = await brokerWithTopic()
    const deleting = fixture.begin('DeleteTopics', 6, { topics: [{ name: 't' }], timeoutMs: 1000 })
    const answers = await grow(fixture, [grown('t', 3)])
    await fixture.clock.run(deleting)
    expect(answers).toEqual([['t', 'UNKNOWN_TOPIC_OR_PARTITION', expect.any(String)]])
  })
})
