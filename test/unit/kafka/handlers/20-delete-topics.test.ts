import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

const UNKNOWN_ID = 'AAAAAAAAAAAAAAAAAAAABA'

async function brokerWith(...names: string[]): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start()
  for (const name of names) await fixture.createTopic(name)
  return fixture
}

describe('DeleteTopics', () => {
  it('deletes by name in every version', async () => {
    const fixture = await brokerWith('v1', 'v2', 'v3', 'v4', 'v5', 'v6', 'kept')
    for (let version = 1; version <= 6; version++) {
      const name = `v${version}`
      const { id } = fixture.partition(name).topic
      const wanted = version >= 6 ? { topics: [{ name }] } : { topicNames: [name] }
      const { responses } = await fixture.ask('DeleteTopics', version, { ...wanted, timeoutMs: 1000 })
      expect(responses).toMatchObject([{ name, errorCode: 0, topicId: version >= 6 ? id : '' }])
    }
    expect([...(await fixture.restart()).state.topics.keys()]).toEqual(['kept'])
  })

  it('deletes by id, and says the name', async () => {
    const fixture = await brokerWith('a')
    const topicId = fixture.partition('a').topic.id
    const { responses } = await fixture.ask('DeleteTopics', 6, { topics: [{ topicId }], timeoutMs: 1000 })
    expect(responses).toMatchObject([{ name: 'a', topicId, errorCode: 0, errorMessage: null }])
    expect(fixture.state.topics.size).toBe(0)
  })

  it('refuses what is not there, is named twice, or is named in two ways at once', async () => {
    const fixture = await brokerWith('a', 'b')
    const topics = [
      { name: 'none' },
      { topicId: UNKNOWN_ID },
      { name: 'a' },
      { name: 'a' },
      { name: 'b', topicId: fixture.partition('b').topic.id },
      { name: null, topicId: '' },
    ]
    const { responses } = await fixture.ask('DeleteTopics', 6, { topics, timeoutMs: 1000 })
    const answers = responses.map(({ name, topicId, errorCode, errorMessage }) => {
      return [name, topicId, errorName(errorCode), errorMessage]
    })
    expect(answers).toEqual([
      ['none', '', 'UNKNOWN_TOPIC_OR_PARTITION', expect.any(String)],
      [null, UNKNOWN_ID, 'UNKNOWN_TOPIC_ID', expect.any(String)],
      ['a', '', 'INVALID_REQUEST', 'Duplicate topic name.'],
      ['b', fixture.partition('b').topic.id, 'INVALID_REQUEST', expect.stringContaining('both')],
      [null, '', 'INVALID_REQUEST', expect.stringContaining('Neither')],
    ])
    expect(fixture.state.topics.size).toBe(2)
  })

  it('deletes once for all who ask at the same time', async () => {
    const fixture = await brokerWith('a')
    const asked = [1, 2, 3].map(() => fixture.begin('DeleteTopics', 6, { topics: [{ name: 'a' }], timeoutMs: 1000 }))
    const answers = await fixture.clock.run(Promise.all(asked))
    const errors = answers.map(({ responses }) => errorName(responses[0]!.errorCode))
    expect(errors).toEqual(['NONE', 'UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_OR_PARTITION'])
  })

  it('says that the storage failed when the disk is full', async () => {
    const fixture = await brokerWith('a')
    fixture.fillDisk()
    const { responses } = await fixture.ask('DeleteTopics', 6, { topics: [{ name: 'a' }], timeoutMs: 1000 })
    expect(errorName(responses[0]!.errorCode)).toBe('KAFKA_STORAGE_ERROR')
    expect(fixture.state.topics.size).toBe(1)
  })
})
