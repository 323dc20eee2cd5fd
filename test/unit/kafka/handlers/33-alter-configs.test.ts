import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

const TOPIC = 2
const BROKER = 4

async function brokerWithTopic(): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start()
  await fixture.createTopic('t', { configs: { 'retention.ms': '1000', 'segment.ms': '60000' } })
  return fixture
}

async function alter(
  fixture: BrokerFixture,
  resourceType: number,
  resourceName: string,
  configs: Record<string, string | null>,
  options: { validateOnly?: boolean; version?: number } = {},
) {
  const entries = Object.entries(configs).map(([name, value]) => ({ name, value }))
  const { responses } = await fixture.ask('AlterConfigs', options.version ?? 2, {
    resources: [{ resourceType, resourceName, configs: entries }],
    validateOnly: options.validateOnly ?? false,
  })
  expect(responses).toMatchObject([{ resourceType, resourceName }])
  return [errorName(responses[0]!.errorCode), responses[0]!.errorMessage]
}

function configsOf(fixture: BrokerFixture): Record<string, string> {
  return Object.fromEntries(fixture.partition('t').topic.configs)
}

describe('AlterConfigs', () => {
  it.each([0, 1, 2])('puts what is given in the place of all that was set, in version %i', async version => {
    const fixture = await brokerWithTopic()
    expect(await alter(fixture, TOPIC, 't', { 'max.message.bytes': '5000' }, { version })).toEqual(['NONE', null])
    expect(configsOf(fixture)).toEqual({ 'max.message.bytes': '5000' })
    expect(configsOf(await fixture.restart())).toEqual({ 'max.message.bytes': '5000' })
  })

  it('changes nothing when it is only to validate, or when anything is wrong', async () => {
    const fixture = await brokerWithTopic()
    const before = configsOf(fixture)
    const good = { 'retention.ms': '5' }
    expect(await alter(fixture, TOPIC, 't', good, { validateOnly: true })).toEqual(['NONE', null])
    const bad = await alter(fixture, TOPIC, 't', { 'retention.ms': '5', 'segment.ms': 'x' })
    expect(bad).toEqual(['INVALID_CONFIG', expect.stringContaining('segment.ms')])
    expect(configsOf(fixture)).toEqual(before)
  })

  it('alters the defaults of all brokers, and those of this one', async () => {
    const fixture = await brokerWithTopic()
    expect(await alter(fixture, BROKER, '', { 'log.retention.ms': '5000' })).toEqual(['NONE', null])
    expect(await alter(fixture, BROKER, '1', { 'log.segment.bytes': '2000000' })).toEqual(['NONE', null])
    await fixture.createTopic('u')
    const { config } = fixture.broker.topicRules.of(fixture.partition('u').topic)
    expect(config).toMatchObject({ retentionMs: 5000, segmentBytes: 2_000_000 })
    expect((await fixture.restart()).state.brokerConfigs.size).toBe(2)
  })

  it.each([
    [TOPIC, 'none', { 'retention.ms': '5' }, 'UNKNOWN_TOPIC_OR_PARTITION', "The topic 'none' does not exist."],
    [TOPIC, '', { 'retention.ms': '5' }, 'INVALID_REQUEST', 'Default topic resources are not allowed.'],
    [TOPIC, 'a b', { 'retention.ms': '5' }, 'INVALID_TOPIC_EXCEPTION', 'Topic name is invalid'],
    [TOPIC, 't', { nothing: '5' }, 'INVALID_CONFIG', 'Unknown topic config name: nothing'],
    [TOPIC, 't', { 'retention.ms': null }, 'INVALID_REQUEST', 'Null value not supported'],
    [BROKER, '9', { 'log.retention.ms': '5' }, 'INVALID_REQUEST', 'Unexpected broker id'],
    [BROKER, '1', { 'node.id': '5' }, 'INVALID_REQUEST', 'Cannot update these configs dynamically: [node.id]'],
    [8, '1', { root: 'INFO' }, 'INVALID_REQUEST', 'type 8'],
  ] as const)('refuses %i %j %j with %s', async (type, name, configs, error, message) => {
    const fixture = await brokerWithTopic()
    expect(await alter(fixture, type, name, configs)).toEqual([error, expect.stringContaining(message)])
  })

  it('refuses a resource that comes twice', async () => {
    const fixture = await brokerWithTopic()
    const before = configsOf(fixture)
    const named = (value: string) => ({
      resourceType: TOPIC,
      resourceName: 't',
      configs: [{ name: 'retention.ms', value }],
    })
    const { responses } = await fixture.ask('AlterConfigs', 2, {
      resources: [named('5'), named('6')],
      validateOnly: false,
    })
    expect(responses.map(({ errorCode }) => errorName(errorCode))).toEqual(['INVALID_REQUEST', 'INVALID_REQUEST'])
    expect(configsOf(fixture)).toEqual(before)
  })

  it('says so when the topic is deleted meanwhile', async () => {
    const fixture = await brokerWithTopic()
    const deleting = fixture.begin('DeleteTopics', 6, { topics: [{ name: 't' }], timeoutMs: 1000 })
    const answer = await alter(fixture, TOPIC, 't', { 'retention.ms': '5' })
    await fixture.clock.run(deleting)
    expect(answer).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', "The topic 't' does not exist."])
  })

  it('says that the storage failed when the disk is full', async () => {
    const fixture = await brokerWithTopic()
    fixture.fillDisk()
    const answer = await alter(fixture, TOPIC, 't', { 'retention.ms': '5' })
    expect(answer).toEqual(['KAFKA_STORAGE_ERROR', expect.stringContaining('no space')])
  })
})
