import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { ADVERTISED, BrokerFixture } from '#test/support/broker-fixture.ts'

describe('FindCoordinator', () => {
  it('names this broker for groups and for transactions', async () => {
    const fixture = await BrokerFixture.start({ nodeId: 4 })
    for (let version = 0; version <= 3; version++) {
      const answer = await fixture.ask('FindCoordinator', version, { key: 'g', keyType: version > 0 ? 1 : 0 })
      expect(answer).toMatchObject({ errorCode: 0, nodeId: 4, ...ADVERTISED })
      if (version > 0) expect(answer.errorMessage).toBe('NONE')
    }
  })

  it('answers for several keys from version 4 on', async () => {
    const fixture = await BrokerFixture.start({ nodeId: 4 })
    for (let version = 4; version <= 6; version++) {
      const answer = await fixture.ask('FindCoordinator', version, { coordinatorKeys: ['a', ''], keyType: 0 })
      const here = { errorCode: 0, errorMessage: '', nodeId: 4, ...ADVERTISED }
      expect(answer.coordinators).toEqual([
        { key: 'a', ...here },
        { key: '', ...here },
      ])
    }
  })

  it.each([2, 3, -1])('has none of type %i', async keyType => {
    const fixture = await BrokerFixture.start()
    const one = await fixture.ask('FindCoordinator', 3, { key: 'g', keyType })
    expect([errorName(one.errorCode), one.nodeId, one.host, one.port]).toEqual(['INVALID_REQUEST', -1, '', -1])
    const many = await fixture.ask('FindCoordinator', 6, { coordinatorKeys: ['g'], keyType })
    expect(many.coordinators).toMatchObject([{ key: 'g', errorCode: one.errorCode, nodeId: -1 }])
  })
})
