import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

async function update(version: number, feature: string, maxVersionLevel: number, fields: object = {}) {
  const fixture = await BrokerFixture.start()
  const featureUpdates = [{ feature, maxVersionLevel, ...(version === 0 ? { allowDowngrade: false } : {}), ...fields }]
  return fixture.ask('UpdateFeatures', version, { timeoutMs: 1000, featureUpdates })
}

describe('UpdateFeatures', () => {
  it('sets a feature to the level that it has', async () => {
    for (let version = 0; version <= 2; version++) {
      const answer = await update(version, 'metadata.version', 33)
      expect(answer).toMatchObject({ errorCode: 0, errorMessage: null })
      expect(answer.results).toHaveLength(version >= 2 ? 0 : 1)
    }
  })

  it.each([
    ['metadata.version', 34, {}, 'level 33'],
    ['metadata.version', 32, { upgradeType: 3 }, 'level 33'],
    ['metadata.version', 33, { upgradeType: 4 }, 'upgrade type'],
    ['transaction.version', 1, {}, 'level 2'],
    ['share.version', 1, {}, 'does not have this feature'],
    ['group.version', 0, { upgradeType: 3 }, 'level 1'],
    ['', 1, {}, 'does not have this feature'],
  ])('refuses %j at level %i %j', async (feature, level, fields, message) => {
    const answer = await update(1, feature, level, fields)
    expect(errorName(answer.errorCode)).toBe('INVALID_UPDATE_VERSION')
    expect(answer.errorMessage).toContain(message)
    expect(answer.results).toEqual([])
  })
})
