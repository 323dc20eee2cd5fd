import { describe, expect, it } from 'vitest'
import { runCycles } from '#test/crash/cycles.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'

describe('a broker that is killed under load, 200 times', () => {
  it.each([1, 2])('keeps everything that it acknowledged (seed %i)', async seed => {
    const figures = await runCycles({ seed, cycles: 100, dataDir: await temporaryDirectory() })
    expect(figures.killsWhileStarting).toBeGreaterThan(0)
    expect(figures.recognised).toBeGreaterThan(10)
    expect(figures.appended).toBeGreaterThan(10)
  })
})
