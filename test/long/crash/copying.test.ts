import { describe, expect, it } from 'vitest'
import { runCopying } from '#test/crash/copying.ts'
import { scaled } from '#test/support/scale.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'

const CYCLES = scaled(100)

describe('transactional copiers, zombies among them, on a broker that is killed', () => {
  it(`commit each record once, ${CYCLES} times`, async () => {
    const options = { seed: 1, cycles: CYCLES, copiers: 3, readers: 2 }
    const result = await runCopying({ ...options, dataDir: await temporaryDirectory() })
    process.stderr.write(`${JSON.stringify(result)}\n`)
    // Few cycles need not meet each of these.
    if (CYCLES < 50) return
    const { commits, aborts, fenced, timedOut, leftOpen, readersKilled, readersPaused } = result
    const met = { commits, aborts, fenced, timedOut, leftOpen, readersKilled, readersPaused }
    for (const [what, count] of Object.entries(met)) expect(count, what).toBeGreaterThan(0)
  })
})
