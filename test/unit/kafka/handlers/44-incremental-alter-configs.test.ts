import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

const TOPIC = 2
const BROKER = 4
const GROUP = 32
const SET = 0
const DELETE = 1
const APPEND = 2
const SUBTRACT = 3

type Op = readonly [name: string, configOperation: number, value: string | null]

const resource = (resourceType: number, resourceName: string, ops: readonly Op[]) => ({
  resourceType,
  resourceName,
  configs: ops.map(([name, configOperation, value]) => ({ name, configOperation, value })),
})

async function alter(fixture: BrokerFixture, ops: readonly Op[], options: { validateOnly?: boolean } = {}) {
  const resources = [resource(TOPIC, 't', ops)]
  const { responses } = await fixture.ask('IncrementalAlterConfigs', 1, { resources, validateOnly: false, ...options })
  return errorName(responses[0]!.errorCode)
}

async function brokerWithTopic(configs: Record<string, string> = {}): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start()
  await fixture.createTopic('t', { configs })
  return fixture
}

function configsOf(fixture: BrokerFixture): Record<string, string> {
  return Object.fromEntries(fixture.partition('t').topic.configs)
}

describe('IncrementalAlterConfigs', () => {
  it.each([0, 1])('sets and deletes single configs and leaves the others, in version %i', async version => {
    const fixture = await brokerWithTopic({ 'retention.ms': '1000', 'segment.ms': '60000' })
    const ops: Op[] = [
      ['retention.ms', DELETE, null],
      ['max.message.bytes', SET, '5000'],
    ]
    const resources = [resource(TOPIC, 't', ops)]
    const answer = await fixture.ask('IncrementalAlterConfigs', version, { resources, validateOnly: false })
    expect(answer.responses).toMatchObject([{ errorCode: 0, errorMessage: null }])
    expect(configsOf(fixture)).toEqual({ 'segment.ms': '60000', 'max.message.bytes': '5000' })
  })

  it('appends to lists and subtracts from them', async () => {
    const fixture = await brokerWithTopic()
    expect(await alter(fixture, [['cleanup.policy', APPEND, 'compact']])).toBe('NONE')
    expect(configsOf(fixture)).toEqual({ 'cleanup.policy': 'delete,compact' })
    expect(await alter(fixture, [['cleanup.policy', SUBTRACT, 'delete']])).toBe('NONE')
    expect(configsOf(fixture)).toEqual({ 'cleanup.policy': 'compact' })
    expect(await alter(fixture, [['retention.ms', APPEND, '5']])).toBe('INVALID_CONFIG')
  })

  it('does nothing when it is only to validate, or without an operation', async () => {
    const fixture = await brokerWithTopic()
    expect(await alter(fixture, [['retention.ms', SET, '5']], { validateOnly: true })).toBe('NONE')
    expect(await alter(fixture, [])).toBe('NONE')
    expect(configsOf(fixture)).toEqual({})
  })

  it('refuses an operation that does not exist', async () => {
    expect(await alter(await brokerWithTopic(), [['retention.ms', 7, '5']])).toBe('INVALID_REQUEST')
  })

  it('alters each resource by itself', async () => {
    const fixture = await brokerWithTopic()
    const resources = [
      resource(TOPIC, 'none', [['retention.ms', SET, '5']]),
      resource(TOPIC, 't', [['retention.ms', SET, '5']]),
      resource(BROKER, '', [['log.retention.ms', SET, '7000']]),
      resource(BROKER, '1', [['log.retention.bytes', SET, '8000']]),
    ]
    const { responses } = await fixture.ask('IncrementalAlterConfigs', 1, { resources, validateOnly: false })
    const errors = responses.map(({ errorCode }) => errorName(errorCode))
    expect(errors).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', 'NONE', 'NONE', 'NONE'])
    expect(configsOf(fixture)).toEqual({ 'retention.ms': '5' })
    expect(Object.fromEntries(fixture.state.brokerConfigs)).toEqual({
      'log.retention.ms': '7000',
      '1/log.retention.bytes': '8000',
    })
  })

  it('loses nothing of what is set at the same time', async () => {
    const fixture = await brokerWithTopic()
    const names = ['retention.ms', 'segment.ms', 'max.message.bytes', 'flush.ms', 'delete.retention.ms']
    const asked = names.map(name =>
      fixture.begin('IncrementalAlterConfigs', 1, {
        resources: [resource(TOPIC, 't', [[name, SET, '5000']])],
        validateOnly: false,
      }),
    )
    const answers = await fixture.clock.run(Promise.all(asked))
    expect(answers.map(({ responses }) => responses[0]!.errorCode)).toEqual([0, 0, 0, 0, 0])
    expect(Object.keys(configsOf(fixture)).sort()).toEqual([...names].sort())
  })

  it('keeps configs for as many groups as there may be, whether they exist or not', async () => {
    const fixture = await BrokerFixture.start({ maxGroups: 2 })
    const timeout = 'consumer.session.timeout.ms'
    const alterGroups = async (ids: readonly string[], op: Op, validateOnly = false) => {
      const resources = ids.map(id => resource(GROUP, id, [op]))
      const { responses } = await fixture.ask('IncrementalAlterConfigs', 1, { resources, validateOnly })
      return responses.map(({ errorCode }) => errorName(errorCode))
    }
    const set: Op = [timeout, SET, '50000']
    expect(await alterGroups(['a', 'b', 'c'], set)).toEqual(['NONE', 'NONE', 'POLICY_VIOLATION'])
    expect(await alterGroups(['a', 'c'], set, true)).toEqual(['NONE', 'POLICY_VIOLATION'])
    expect(await alterGroups(['c', 'a'], [timeout, DELETE, null])).toEqual(['NONE', 'NONE'])
    expect(await alterGroups(['c'], set)).toEqual(['NONE'])
    expect([...fixture.state.groupConfigs.keys()]).toEqual(['b', 'c'])
  })
})
