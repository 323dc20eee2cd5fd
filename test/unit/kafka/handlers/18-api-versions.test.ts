import { describe, expect, it } from 'vitest'
import { handlers } from '#kafka/handlers/handlers.ts'
import { apis, errorCode } from '#kafka/protocol/protocol.ts'
import { BrokerFixture, CLUSTER_ID } from '#test/support/broker-fixture.ts'

const client = { clientSoftwareName: 'a-client', clientSoftwareVersion: '1.0' }

describe('ApiVersions', () => {
  it('lists in every version what has a handler, and Produce from 0', async () => {
    const fixture = await BrokerFixture.start()
    const served = [...handlers].map(([apiKey, { versions }]) => ({
      apiKey,
      minVersion: versions.min,
      maxVersion: versions.max,
    }))
    const expected = [{ apiKey: 0, minVersion: 0, maxVersion: 13 }, ...served].sort((a, b) => a.apiKey - b.apiKey)
    for (let version = 0; version <= 5; version++) {
      const answer = await fixture.ask('ApiVersions', version, version >= 3 ? client : {})
      expect(answer.errorCode).toBe(0)
      expect(answer.apiKeys).toEqual(expected)
    }
  })

  it('lists no version that the protocol does not have', () => {
    for (const [key, { request, versions }] of handlers) {
      expect(apis.get(key)?.name).toBe(request.api.name)
      expect(versions.min).toBeGreaterThanOrEqual(request.versions.min)
      expect(versions.max).toBeLessThanOrEqual(request.versions.max)
    }
  })

  it('says from version 3 on that the metadata is that of Kafka 4.4, and which features clients may use', async () => {
    const fixture = await BrokerFixture.start()
    const answer = await fixture.ask('ApiVersions', 3, client)
    expect(answer.supportedFeatures).toEqual([{ name: 'metadata.version', minVersion: 7, maxVersion: 33 }])
    const levels = answer.finalizedFeatures.map(({ name, maxVersionLevel }) => [name, maxVersionLevel])
    expect(levels).toEqual([
      ['metadata.version', 33],
      ['transaction.version', 2],
      ['group.version', 1],
    ])
    expect(answer.finalizedFeaturesEpoch).toBeGreaterThanOrEqual(0)
  })

  it('does not tell version 3 of features that begin at 0, which older clients cannot read', async () => {
    const fixture = await BrokerFixture.start()
    const names = async (version: number) => {
      const { supportedFeatures } = await fixture.ask('ApiVersions', version, client)
      return supportedFeatures.map(({ name }) => name)
    }
    expect(await names(3)).toEqual(['metadata.version'])
    expect(await names(4)).toEqual(['metadata.version', 'transaction.version', 'group.version'])
  })

  it.each([
    ['', '1'],
    ['a', ''],
    ['-a', '1'],
    ['a-', '1'],
    ['a b', '1'],
    ['a', '1!'],
  ])('refuses the software %j %j', async (clientSoftwareName, clientSoftwareVersion) => {
    const fixture = await BrokerFixture.start()
    const answer = await fixture.ask('ApiVersions', 4, { clientSoftwareName, clientSoftwareVersion })
    expect(answer).toMatchObject({ errorCode: errorCode('INVALID_REQUEST'), apiKeys: [], finalizedFeaturesEpoch: -1 })
  })

  it.each([
    [CLUSTER_ID, 1, 'NONE'],
    [null, -1, 'NONE'],
    [CLUSTER_ID, 2, 'REBOOTSTRAP_REQUIRED'],
    ['another', 1, 'REBOOTSTRAP_REQUIRED'],
    ['', 1, 'REBOOTSTRAP_REQUIRED'],
    [CLUSTER_ID, -1, 'INVALID_REQUEST'],
    [null, 1, 'INVALID_REQUEST'],
  ] as const)(
    'answers a client that means the cluster %j and the broker %i with %s',
    async (clusterId, nodeId, error) => {
      const fixture = await BrokerFixture.start()
      const answer = await fixture.ask('ApiVersions', 5, { ...client, clusterId, nodeId })
      expect(answer.errorCode).toBe(errorCode(error))
      expect(answer.apiKeys.length > 0).toBe(error === 'NONE')
    },
  )
})
