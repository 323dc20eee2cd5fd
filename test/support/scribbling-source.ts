import { BufferPool } from '#bytes/buffer-pool.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import { type RangeSource, sourceOf } from '#object-store/range-source.ts'

const SCRIBBLE = 0xee

/** A store whose bytes are not what they were when they have been released: who still looks at them is found out. */
export function scribblingSource(store: ObjectStore): RangeSource {
  const source = sourceOf(store, new BufferPool(0))
  return {
    async readRange(key, from, length, signal) {
      const { bytes, release } = await source.readRange(key, from, length, signal)
      const scribble = (): void => {
        bytes.fill(SCRIBBLE)
        release()
      }
      return { bytes, release: scribble }
    },
    forget: key => source.forget(key),
  }
}
