import type { Partition } from '#core/state.ts'
import type { ReadRange } from '#log/read-log.ts'

/** All there is from an offset on, up to so many bytes. */
export function rangeFrom({ nextOffset }: Partition, offset: number, maxBytes = 1 << 20): ReadRange {
  return { offset, endOffset: nextOffset, maxBytes, atLeastOne: true }
}
