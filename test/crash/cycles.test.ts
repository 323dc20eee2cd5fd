import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { runCycles } from './cycles.ts'

describe('a broker that is killed under load, five times', () => {
  it('keeps everything that it acknowledged', async () => {
    const figures = await runCycles({ seed: 20261121, cycles: 5, dataDir: await temporaryDirectory() })
    expect(figures.acknowledgedRequests).toBeGreaterThan(100)
    expect(figures.recognised + figures.appended).toBeGreaterThan(0)
  }, 60_000)
})
