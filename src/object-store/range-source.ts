import type { BufferPool } from '#bytes/buffer-pool.ts'
import type { ObjectStore } from './object-store.ts'

/** Bytes in memory that is used again when it was released, or in memory of its own. */
export interface RangeBytes {
  readonly bytes: Buffer
  /** Nobody looks at them any more. Need not be called. */
  release(): void
}

/** Where ranges of objects come from: a store, or a cache in front of it. */
export interface RangeSource {
  /** As the store's getRange. */
  readRange(key: string, from: number, length: number, signal: AbortSignal): Promise<RangeBytes>
  /** Of a cache, which reads ahead by itself: somebody will probably ask for this range soon. */
  readAhead?(key: string, from: number, length: number): void
  /** What is kept of the object, if anything, is not right: the next one who asks gets what the store has. */
  forget(key: string): Promise<void>
}

/** A store without a cache. */
export function sourceOf(store: ObjectStore, buffers: BufferPool): RangeSource {
  return {
    async readRange(key, from, length, signal) {
      if (store.readInto === undefined) return { bytes: await store.getRange(key, from, length, signal), release() {} }
      const memory = buffers.take(length)
      // If it fails, something may still be written into the memory: it is not used again.
      const count = await store.readInto(key, from, memory.subarray(0, length), signal)
      return { bytes: memory.subarray(0, count), release: () => buffers.give(memory) }
    },
    async forget() {},
  }
}

/** Who gives up waiting for a store that fails gets to know with what it does. */
export function tellingWhy(source: RangeSource, failure: () => Error | null): RangeSource {
  return {
    async readRange(key, from, length, signal) {
      try {
        return await source.readRange(key, from, length, signal)
      } catch (thrown) {
        throw signal.aborted ? (failure() ?? thrown) : thrown
      }
    },
    ...(source.readAhead === undefined ? {} : { readAhead: source.readAhead.bind(source) }),
    forget: key => source.forget(key),
  }
}
