import { describe, expect, it } from 'vitest'
import { BufferPool } from '#bytes/buffer-pool.ts'

describe('a buffer pool', () => {
  it('gives what was given back to the next one that needs as much', () => {
    const pool = new BufferPool(1 << 20)
    const first = pool.take(20_000)
    expect(first.length).toBeGreaterThanOrEqual(20_000)
    expect(pool.take(20_000)).not.toBe(first)
    pool.give(first)
    expect(pool.take(100_000)).not.toBe(first)
    expect(pool.take(18_000)).toBe(first)
  })

  it('keeps no more than it may', () => {
    const pool = new BufferPool(40_000)
    const buffers = [pool.take(20_000), pool.take(20_000)]
    for (const buffer of buffers) pool.give(buffer)
    expect(pool.take(20_000)).toBe(buffers[0])
    expect(pool.take(20_000)).not.toBe(buffers[1])
  })
})
