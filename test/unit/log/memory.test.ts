import { describe, expect, it } from 'vitest'
import { LogMemory } from '#test/support/log-memory.ts'

const MB = 2 ** 20
const FILE_BYTES = MB

/** What the log may hold in memory for so many bytes on disk: 1 MB for 1 GB. */
const allowance = (walBytes: number) => walBytes / 1024

describe('the memory of a log', () => {
  it.each([70, 1000, 100_000])('grows by at most 1 MB a GB with batches of %i bytes', async batchBytes => {
    const memory = await LogMemory.open({ walFileBytes: FILE_BYTES, cacheBytes: 0, partitions: 10, batchBytes })
    // The file that is written, and the one whose index is being made, are counted once and not per GB.
    await memory.fillTo(8 * MB)
    const before = { bytes: memory.structureBytes(), position: memory.log.commits.position }
    await memory.fillTo(32 * MB)
    const grownBytes = memory.structureBytes() - before.bytes
    const batchesOfTwoFiles = (2 * FILE_BYTES) / (batchBytes + 52)
    expect(grownBytes).toBeLessThan(allowance(memory.log.commits.position - before.position) + batchesOfTwoFiles * 28)
    expect(memory.log.state.partitions[0]!.extents.length).toBeGreaterThan(24)
  })
})
