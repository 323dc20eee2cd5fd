import { assert } from '#base/assert.ts'

// The newest part of the log in memory, as it lies on disk: a batch is copied once, into here; it is written to the file from
// here and sent to consumers from here. Chunks follow each other in position without gaps. A chunk that is being sent is
// pinned; an old one is forgotten when the cache is full, and its memory used again if nobody is sending from it.

export interface Chunk {
  /** Of its first byte in the log. */
  position: number
  readonly bytes: Buffer
  /** Its memory is used again for another chunk. */
  readonly isReserved: boolean
  usedBytes: number
  pins: number
}

/** The garbage collector walks the whole heap whenever memory of this kind was allocated: so it is, many chunks at a time. */
const RESERVED_CHUNKS = 16

export class WalImage {
  readonly #chunkBytes: number
  readonly #cacheBytes: number
  readonly #chunks: Chunk[] = []
  #totalBytes = 0
  /** Of the size of a chunk, not in use now. Memory on which nobody wrote yet takes no room. */
  readonly #spares: Buffer[] = []
  #reservedBytes = 0
  /** Forgotten and still pinned. */
  #strays: Chunk[] = []

  constructor(options: { chunkBytes: number; cacheBytes: number }) {
    this.#chunkBytes = options.chunkBytes
    this.#cacheBytes = options.cacheBytes
  }

  /** Position of the oldest byte in memory; Infinity when there is none. */
  get from(): number {
    return this.#chunks[0]?.position ?? Number.POSITIVE_INFINITY
  }

  get last(): Chunk | null {
    return this.#chunks.at(-1) ?? null
  }

  get sizeBytes(): number {
    return this.#totalBytes
  }

  /** A new chunk at the end of the log, of at least this many bytes. */
  open(position: number, atLeastBytes: number): Chunk {
    const last = this.#chunks.at(-1)
    assert(last === undefined || last.position + last.usedBytes === position, 'chunks follow each other')
    const chunk = this.#memoryOf(Math.max(this.#chunkBytes, atLeastBytes))
    chunk.position = position
    chunk.usedBytes = 0
    this.#chunks.push(chunk)
    this.#totalBytes += chunk.bytes.length
    return chunk
  }

  /** Forgets the oldest chunks beyond the cache's size, as far as they lie before a position. */
  shrink(before: number): void {
    while (this.#totalBytes > this.#cacheBytes && this.#chunks.length > 1) {
      const oldest = this.#chunks[0]!
      if (oldest.position + oldest.usedBytes > before) return
      this.#chunks.shift()
      this.#totalBytes -= oldest.bytes.length
      if (oldest.pins > 0) this.#strays.push(oldest)
      else this.#recycle(oldest)
    }
  }

  /** Is there more memory of forgotten chunks that somebody still sends from than the cache may have? Then send copies. */
  get isOverdrawn(): boolean {
    if (this.#strays.length === 0) return false
    this.#dropStrays()
    return this.#strays.reduce((sum, chunk) => sum + chunk.bytes.length, 0) > this.#cacheBytes
  }

  /** The chunk that holds the byte at a position, if it is in memory. */
  find(position: number): Chunk | null {
    let low = 0
    let high = this.#chunks.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const chunk = this.#chunks[middle]!
      if (chunk.position > position) high = middle - 1
      else if (position >= chunk.position + chunk.usedBytes) low = middle + 1
      else return chunk
    }
    return null
  }

  /** Takes back everything from a position on: it was never durable. */
  cutTo(position: number): void {
    for (let last = this.#chunks.at(-1); last !== undefined; last = this.#chunks.at(-1)) {
      if (last.position < position) {
        last.usedBytes = Math.min(last.usedBytes, position - last.position)
        return
      }
      this.#chunks.pop()
      this.#totalBytes -= last.bytes.length
      this.#recycle(last)
    }
  }

  #memoryOf(sizeBytes: number): Chunk {
    const spare = sizeBytes === this.#chunkBytes ? this.#takeSpare() : undefined
    const bytes = spare ?? Buffer.allocUnsafeSlow(sizeBytes)
    return { position: 0, bytes, isReserved: spare !== undefined, usedBytes: 0, pins: 0 }
  }

  #takeSpare(): Buffer | undefined {
    if (this.#spares.length === 0) this.#dropStrays()
    if (this.#spares.length === 0) this.#reserve()
    return this.#spares.pop()
  }

  /** Memory for what the cache may hold, and the chunk that is written. */
  #reserve(): void {
    const wanted = Math.ceil((this.#cacheBytes - this.#reservedBytes) / this.#chunkBytes) + 1
    const count = Math.min(wanted, RESERVED_CHUNKS)
    if (count <= 0) return
    const memory = Buffer.allocUnsafeSlow(count * this.#chunkBytes)
    this.#reservedBytes += memory.length
    for (let at = memory.length - this.#chunkBytes; at >= 0; at -= this.#chunkBytes) {
      this.#spares.push(memory.subarray(at, at + this.#chunkBytes))
    }
  }

  #dropStrays(): void {
    for (const chunk of this.#strays) if (chunk.pins === 0) this.#recycle(chunk)
    this.#strays = this.#strays.filter(chunk => chunk.pins > 0)
  }

  /** What was needed beyond what is reserved is given back to the system. */
  #recycle(chunk: Chunk): void {
    if (chunk.isReserved) this.#spares.push(chunk.bytes)
  }
}
