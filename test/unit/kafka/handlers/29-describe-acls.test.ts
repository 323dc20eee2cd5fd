import { describe, expect, it } from 'vitest'
import { errorCode } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

const ANY = 1
const filter = {
  resourceTypeFilter: ANY,
  resourceNameFilter: null,
  patternTypeFilter: ANY,
  principalFilter: null,
  hostFilter: null,
  operation: ANY,
  permissionType: ANY,
}
const creation = {
  resourceType: 2,
  resourceName: 't',
  resourcePatternType: 3,
  principal: 'User:a',
  host: '*',
  operation: 3,
  permissionType: 3,
}
const SECURITY_DISABLED = errorCode('SECURITY_DISABLED')

describe('ACLs', () => {
  it.each([1, 2, 3])('are told to be off in version %i, one answer for each that is asked for', async version => {
    const fixture = await BrokerFixture.start()
    const described = await fixture.ask('DescribeAcls', version, filter)
    expect(described).toMatchObject({ errorCode: SECURITY_DISABLED, resources: [] })
    expect(described.errorMessage).toContain('No Authorizer')
    const created = await fixture.ask('CreateAcls', version, { creations: [creation, creation] })
    expect(created.results.map(result => result.errorCode)).toEqual([SECURITY_DISABLED, SECURITY_DISABLED])
    const deleted = await fixture.ask('DeleteAcls', version, { filters: [filter] })
    expect(deleted.filterResults).toMatchObject([{ errorCode: SECURITY_DISABLED, matchingAcls: [] }])
  })
})
