import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { LogMemory } from '#test/support/log-memory.ts'

const MB = 2 ** 20
const GB = 2 ** 30
/** The default of the product. */
const FILE_BYTES = 128 * MB
/** Of what the collector leaves. */
const NOISE_BYTES = 0.5 * MB

setFlagsFromString('--expose_gc')
const collect = runInNewContext('gc') as () => void

/** Everything that this process has in use. A buffer's memory is given back after the collection that found it unused. */
async function usedBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collect()
    await new Promise(setImmediate)
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

describe('the memory of a log', () => {
  it.each([
    [1, 70],
    [1, 1000],
    [1, 1_000_000],
    [100, 70],
    [100, 1000],
  ])('grows by at most 1 MB a GB with %i partitions and batches of %i bytes', async (partitions, batchBytes) => {
    const memory = await LogMemory.open({ walFileBytes: FILE_BYTES, cacheBytes: 64 * MB, partitions, batchBytes })
    // Whole files, so that what the newest one holds is the same both times.
    await memory.fillTo(GB + FILE_BYTES / 2)
    const before = { usedBytes: await usedBytes(), position: memory.log.commits.position }
    await memory.fillTo(3 * GB + FILE_BYTES / 2)
    const grownBytes = (await usedBytes()) - before.usedBytes
    const walGb = (memory.log.commits.position - before.position) / GB
    expect(grownBytes).toBeLessThan(walGb * MB + NOISE_BYTES)
  })
})
