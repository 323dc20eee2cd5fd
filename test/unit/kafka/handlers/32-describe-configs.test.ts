import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import type { RequestBody } from '#test/support/wire-messages.ts'

const TOPIC = 2
const BROKER = 4

const resource = (resourceType: number, resourceName: string, configurationKeys: string[] | null = null) => {
  return { resourceType, resourceName, configurationKeys }
}

async function describeOne(
  fixture: BrokerFixture,
  wanted: ReturnType<typeof resource>,
  options: RequestBody<'DescribeConfigs'> = {},
  version = 4,
) {
  const { results } = await fixture.ask('DescribeConfigs', version, { resources: [wanted], ...options })
  expect(results).toMatchObject([{ resourceType: wanted.resourceType, resourceName: wanted.resourceName }])
  return results[0]!
}

describe('DescribeConfigs', () => {
  it('describes every config of a topic, with where its value comes from', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('t', { configs: { 'retention.ms': '1000' } })
    for (let version = 1; version <= 4; version++) {
      const { errorCode, configs } = await describeOne(fixture, resource(TOPIC, 't'), {}, version)
      expect(errorCode).toBe(0)
      expect(configs.length).toBeGreaterThan(30)
      const configOf = (name: string) => configs.find(config => config.name === name)
      const type = version >= 3 ? 5 : 0
      expect(configOf('retention.ms')).toMatchObject({ value: '1000', configSource: 1, configType: type, synonyms: [] })
      expect(configOf('segment.bytes')).toMatchObject({ value: '1073741824', configSource: 5 })
    }
  })

  it('describes what is asked for, and all if nothing is', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('t')
    const some = await describeOne(fixture, resource(TOPIC, 't', ['segment.ms', 'cleanup.policy', 'none']))
    expect(some.configs.map(({ name }) => name).sort()).toEqual(['cleanup.policy', 'segment.ms'])
    expect((await describeOne(fixture, resource(TOPIC, 't', []))).configs.length).toBeGreaterThan(30)
  })

  it('adds synonyms and documentation when asked', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('t', { configs: { 'retention.ms': '1000' } })
    await fixture.propose({ kind: 'broker-configs-set', configs: new Map([['log.retention.ms', '5000']]) })
    const wanted = resource(TOPIC, 't', ['retention.ms'])
    const plain = (await describeOne(fixture, wanted)).configs[0]!
    expect(plain).toMatchObject({ synonyms: [], documentation: null })
    const full = await describeOne(fixture, wanted, { includeSynonyms: true, includeDocumentation: true })
    expect(full.configs[0]!.synonyms).toEqual([
      { name: 'retention.ms', value: '1000', source: 1 },
      { name: 'log.retention.ms', value: '5000', source: 3 },
      { name: 'log.retention.hours', value: '168', source: 5 },
    ])
    expect(full.configs[0]!.documentation).toContain('How long records are kept')
  })

  it('describes this broker, and what all brokers have in common', async () => {
    const fixture = await BrokerFixture.start({ nodeId: 3 })
    const one = await describeOne(fixture, resource(BROKER, '3', ['node.id', 'log.segment.bytes']))
    const nodeId = { name: 'node.id', value: '3', readOnly: true, configSource: 4 }
    expect(one.configs.find(({ name }) => name === 'node.id')).toMatchObject(nodeId)
    expect(one.configs.find(({ name }) => name === 'log.segment.bytes')).toMatchObject({ readOnly: false })
    expect((await describeOne(fixture, resource(BROKER, ''))).configs).toEqual([])
    await fixture.propose({ kind: 'broker-configs-set', configs: new Map([['log.retention.ms', '5000']]) })
    const common = await describeOne(fixture, resource(BROKER, ''))
    expect(common.configs).toMatchObject([{ name: 'log.retention.ms', value: '5000', configSource: 3 }])
  })

  it.each([
    [resource(TOPIC, 'none'), 'UNKNOWN_TOPIC_OR_PARTITION'],
    [resource(TOPIC, 'a b'), 'INVALID_TOPIC_EXCEPTION'],
    [resource(TOPIC, ''), 'INVALID_TOPIC_EXCEPTION'],
    [resource(BROKER, '9'), 'INVALID_REQUEST'],
    [resource(BROKER, 'x'), 'INVALID_REQUEST'],
    [resource(8, '1'), 'INVALID_REQUEST'],
    [resource(16, 'a'), 'INVALID_REQUEST'],
    [resource(16, 'a'), 'INVALID_REQUEST'],
    [resource(32, ''), 'INVALID_REQUEST'],
    [resource(0, ''), 'INVALID_REQUEST'],
  ])('refuses %j with %s', async (wanted, error) => {
    const fixture = await BrokerFixture.start()
    const { errorCode, errorMessage, configs } = await describeOne(fixture, wanted)
    expect(errorName(errorCode)).toBe(error)
    expect(errorMessage).not.toBe('')
    expect(configs).toEqual([])
  })

  it('answers a resource that comes twice with an error, and the others all the same', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('t')
    const resources = [resource(TOPIC, 't'), resource(BROKER, '1'), resource(TOPIC, 't')]
    const { results } = await fixture.ask('DescribeConfigs', 4, { resources })
    const errors = results.map(({ errorCode, configs }) => [errorName(errorCode), configs.length > 0])
    expect(errors).toEqual([
      ['INVALID_REQUEST', false],
      ['NONE', true],
      ['INVALID_REQUEST', false],
    ])
  })
})
