import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { runCopying } from './copying.ts'

describe('a transactional copy on a broker that is killed four times', () => {
  it('has each record once', async () => {
    const options = { seed: 20261122, cycles: 4, copiers: 2, readers: 1 }
    const result = await runCopying({ ...options, dataDir: await temporaryDirectory() })
    expect(result.records).toBeGreaterThan(50)
    expect(result.commits).toBeGreaterThan(5)
  }, 90_000)
})
