import { describe, expect, it } from 'vitest'
import { type Chunk, WalImage } from '#commit/wal-image.ts'

const CHUNK_BYTES = 100

/** An image with `count` full chunks. */
function imageOf(count: number, cacheBytes: number): { image: WalImage; chunks: Chunk[] } {
  const image = new WalImage({ chunkBytes: CHUNK_BYTES, cacheBytes })
  const chunks: Chunk[] = []
  for (let i = 0; i < count; i++) {
    const chunk = image.open(i * CHUNK_BYTES, 1)
    chunk.usedBytes = CHUNK_BYTES
    chunks.push(chunk)
  }
  return { image, chunks }
}

describe('the newest part of the log in memory', () => {
  it('finds the chunk of each position, and none before or behind', () => {
    const { image, chunks } = imageOf(3, 1000)
    expect([0, 99, 100, 299].map(position => image.find(position))).toEqual([
      chunks[0],
      chunks[0],
      chunks[1],
      chunks[2],
    ])
    expect(image.find(300)).toBeNull()
    expect(image.from).toBe(0)
  })

  it('forgets the oldest chunks beyond its size, but none that is not durable', () => {
    const { image } = imageOf(5, 2 * CHUNK_BYTES)
    image.shrink(150)
    expect(image.from).toBe(100)
    image.shrink(500)
    expect([image.from, image.sizeBytes]).toEqual([300, 200])
  })

  it('uses the memory of a forgotten chunk again, unless somebody sends from it', () => {
    const { image, chunks } = imageOf(4, 2 * CHUNK_BYTES)
    chunks[1]!.pins = 1
    image.shrink(400)
    expect(image.open(400, 1).bytes).toBe(chunks[0]!.bytes)
    const { image: other, chunks: pinned } = imageOf(3, 2 * CHUNK_BYTES)
    pinned[0]!.pins = 1
    other.shrink(300)
    expect(other.open(300, 1).bytes).not.toBe(pinned[0]!.bytes)
  })

  it('says when those who send hold more than its size of what it forgot', () => {
    const { image, chunks } = imageOf(6, 2 * CHUNK_BYTES)
    for (const chunk of chunks) chunk.pins = 1
    expect(image.isOverdrawn).toBe(false)
    image.shrink(600)
    expect(image.isOverdrawn).toBe(true)
    for (const chunk of chunks.slice(0, 2)) chunk.pins = 0
    expect(image.isOverdrawn).toBe(false)
  })

  it('takes back what never became durable', () => {
    const { image, chunks } = imageOf(3, 1000)
    image.cutTo(150)
    expect([image.last, image.last?.usedBytes, image.sizeBytes]).toEqual([chunks[1], 50, 200])
    image.cutTo(0)
    expect(image.last).toBeNull()
  })

  it('has a chunk of its own for what is larger than a chunk', () => {
    const image = new WalImage({ chunkBytes: CHUNK_BYTES, cacheBytes: 1000 })
    expect(image.open(0, 5000).bytes).toHaveLength(5000)
  })
})
