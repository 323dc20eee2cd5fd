import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { ADVERTISED, BrokerFixture, CLUSTER_ID } from '#test/support/broker-fixture.ts'

describe('DescribeCluster', () => {
  it('describes the one broker in every version', async () => {
    const fixture = await BrokerFixture.start({ nodeId: 6 })
    for (let version = 0; version <= 2; version++) {
      const answer = await fixture.ask('DescribeCluster', version, { includeClusterAuthorizedOperations: false })
      expect(answer).toMatchObject({
        errorCode: 0,
        errorMessage: null,
        endpointType: 1,
        clusterId: CLUSTER_ID,
        controllerId: 6,
        brokers: [{ brokerId: 6, ...ADVERTISED, rack: null, isFenced: false }],
        clusterAuthorizedOperations: -2147483648,
      })
    }
  })

  it('tells the operations that are allowed when asked', async () => {
    const fixture = await BrokerFixture.start()
    const answer = await fixture.ask('DescribeCluster', 2, { includeClusterAuthorizedOperations: true })
    expect(answer.clusterAuthorizedOperations).toBe(8096)
  })

  it.each([
    [2, 'MISMATCHED_ENDPOINT_TYPE'],
    [3, 'UNSUPPORTED_ENDPOINT_TYPE'],
  ])('is no endpoint of type %i', async (endpointType, error) => {
    const fixture = await BrokerFixture.start()
    const answer = await fixture.ask('DescribeCluster', 1, { includeClusterAuthorizedOperations: true, endpointType })
    expect(errorName(answer.errorCode)).toBe(error)
    expect(answer.brokers).toEqual([])
  })
})
