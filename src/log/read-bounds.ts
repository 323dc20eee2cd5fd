import type { Partition } from '#core/state.ts'
import type { Log } from './log.ts'

// How far the log may be read: what is committed and not answered yet may never have been, and nobody sees it.

/** Consumers read up to here. */
export function highWatermark({ gate }: Log, { ordinal, nextOffset, logStart }: Partition): number {
  const bound = gate.boundOf(ordinal)
  return bound === undefined ? nextOffset : Math.max(bound.highWatermark, logStart)
}

/** Consumers that read only what is committed read up to here. */
export function lastStableOffset({ gate }: Log, { ordinal, lastStableOffset, logStart }: Partition): number {
  const bound = gate.boundOf(ordinal)
  return bound === undefined ? lastStableOffset : Math.max(bound.lastStableOffset, logStart)
}

/** Who follows the log reads up to here. */
export function answeredPosition({ gate, commits }: Log): number {
  return gate.heldFrom ?? commits.position
}
