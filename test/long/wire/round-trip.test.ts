import { describe, it } from 'vitest'
import { apis } from '#kafka/protocol/protocol.ts'
import { checkRoundTrips } from '#test/unit/kafka/protocol/round-trip.ts'

describe.each([...apis.values()].flatMap(api => [api.request, api.response]))('$name', message => {
  it('is read as it was written, in every version', () => {
    for (let version = message.versions.min; version <= message.versions.max; version++) {
      checkRoundTrips(message, version, { seed: version, runs: 500 })
    }
  })
})
