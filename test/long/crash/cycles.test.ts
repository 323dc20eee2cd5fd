import { describe, expect, it } from 'vitest'
import { runCycles } from '#test/crash/cycles.ts'
import { scaled } from '#test/support/scale.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'

describe('a broker that is killed under load', () => {
  it.each([
    { seed: 1, cycles: scaled(100), environment: {} },
    { seed: 2, cycles: scaled(50), environment: { CHRONIK_PRODUCE_PROFILE: 'extreme' } },
    // What was answered survives the process, if not the power.
    { seed: 3, cycles: scaled(50), environment: { CHRONIK_WAL_SYNC: '100ms' } },
  ])('keeps everything that it acknowledged ($cycles times, $environment)', async options => {
    const figures = await runCycles({ ...options, dataDir: await temporaryDirectory() })
    // Few cycles need not meet each of these.
    if (options.cycles < 50) return
    expect(figures.killsWhileStarting).toBeGreaterThan(0)
    expect(figures.recognised).toBeGreaterThan(10)
    expect(figures.appended).toBeGreaterThan(10)
  })
})
