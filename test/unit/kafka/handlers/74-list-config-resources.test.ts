import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

async function list(resourceTypes: number[]) {
  const fixture = await BrokerFixture.start()
  await fixture.createTopic('a')
  await fixture.createTopic('b')
  const { errorCode, configResources } = await fixture.ask('ListConfigResources', 1, { resourceTypes })
  return [errorName(errorCode), configResources.map(({ resourceType, resourceName }) => [resourceType, resourceName])]
}

const TOPICS = [
  [2, 'a'],
  [2, 'b'],
]

describe('ListConfigResources', () => {
  it('lists topics and the broker, or what of them is asked for', async () => {
    expect(await list([])).toEqual(['NONE', [...TOPICS, [4, '1']]])
    expect(await list([2, 2])).toEqual(['NONE', TOPICS])
    expect(await list([4])).toEqual(['NONE', [[4, '1']]])
    expect(await list([8, 16, 32])).toEqual(['NONE', []])
  })

  it('lists the groups that have configs of their own', async () => {
    const fixture = await BrokerFixture.start()
    const configs = new Map([['consumer.session.timeout.ms', '50000']])
    await fixture.propose({ kind: 'group-configs-set', groupId: 'g', configs })
    const restarted = await fixture.restart()
    const asked = await restarted.ask('ListConfigResources', 1, { resourceTypes: [32] })
    expect(asked.configResources).toMatchObject([{ resourceType: 32, resourceName: 'g' }])
    await restarted.propose({ kind: 'group-configs-set', groupId: 'g', configs: new Map() })
    const then = await restarted.ask('ListConfigResources', 1, { resourceTypes: [32] })
    expect(then.configResources).toEqual([])
  })

  it('knows no other types', async () => {
    expect(await list([2, 64])).toEqual(['UNSUPPORTED_VERSION', []])
    expect(await list([0])).toEqual(['UNSUPPORTED_VERSION', []])
  })

  it('has no client metrics, which is all that version 0 asks for', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('a')
    expect(await fixture.ask('ListConfigResources', 0, {})).toMatchObject({ errorCode: 0, configResources: [] })
  })
})
