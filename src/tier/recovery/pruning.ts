import type { CheckpointName } from './archive-names.ts'

// What of the archive is not needed any more: pure. The last checkpoints are kept whatever their age; for the window, the pieces of
// the log, and of the checkpoints one an hour, so that no moment is more than an hour of pieces away from one, and all with which a
// chain of pieces begins.

export const KEPT_CHECKPOINTS = 3
const HOUR_MS = 3_600_000

export type AgedCheckpoint = CheckpointName & {
  /** By the clock of the store. */
  readonly writtenMs: number
  /** No piece ends there: a process began with it, and what comes behind cannot be reached from the one before. */
  readonly beginsChain: boolean
}

/** In the order of generations and positions. */
export function inOrder<T extends CheckpointName>(checkpoints: readonly T[]): T[] {
  return checkpoints.toSorted((a, b) => a.generation - b.generation || a.position - b.position)
}

/** `checkpoints` in their order; `nowMs` by the clock of the store, too. */
export function keptCheckpoints(
  checkpoints: readonly AgedCheckpoint[],
  { nowMs, windowMs }: { nowMs: number; windowMs: number },
): Set<AgedCheckpoint> {
  const kept = new Set(checkpoints.slice(-KEPT_CHECKPOINTS))
  const beginMs = nowMs - windowMs
  // What the window begins with is told by the last one before it.
  const base = checkpoints.findLast(({ writtenMs }) => writtenMs <= beginMs)
  if (base !== undefined && windowMs > 0) kept.add(base)
  let hour = Number.NaN
  let generation = -1
  for (const checkpoint of checkpoints) {
    if (windowMs === 0 || checkpoint.writtenMs <= beginMs) continue
    const isFirst = Math.floor(checkpoint.writtenMs / HOUR_MS) !== hour || checkpoint.generation !== generation
    if (isFirst || checkpoint.beginsChain) kept.add(checkpoint)
    hour = Math.floor(checkpoint.writtenMs / HOUR_MS)
    generation = checkpoint.generation
  }
  return kept
}

/** Pieces of a generation are needed behind its oldest checkpoint that is kept: behind this position; without one none is. */
export function neededFrom(kept: Iterable<CheckpointName>): Map<number, number> {
  const from = new Map<number, number>()
  for (const { generation, position } of kept) {
    from.set(generation, Math.min(position, from.get(generation) ?? position))
  }
  return from
}
