import type { CheckpointName, MetalogName } from '#tier/recovery/archive-names.ts'

// Where the archive of a generation cannot be followed: pure. It begins with the oldest checkpoint that is kept; pieces behind it
// may overlap, since a piece whose answer was lost is written again. A checkpoint stands for everything before it.

export interface ChainBreak {
  /** Nothing is known of the log between these positions. */
  readonly from: number
  readonly to: number
  /** A checkpoint stands where the log goes on: only the moments in between are lost. */
  readonly isBridged: boolean
}

export interface Chain {
  readonly breaks: readonly ChainBreak[]
  /** Up to where the newest state can be made; -1 without a checkpoint. */
  readonly end: number
}

export function followChain(checkpoints: readonly CheckpointName[], pieces: readonly MetalogName[]): Chain {
  const positions = checkpoints.map(({ position }) => position).sort((a, b) => a - b)
  const [first] = positions
  if (first === undefined) return { breaks: [], end: -1 }
  const breaks: ChainBreak[] = []
  let end = first
  const jump = (to: number): void => {
    const bridge = positions.findLast(position => position > end && position <= to)
    if (bridge !== undefined) {
      breaks.push({ from: end, to: bridge, isBridged: true })
      end = bridge
    }
  }
  for (const { from, to } of pieces.toSorted((a, b) => a.from - b.from)) {
    if (to <= end) continue
    if (from > end) jump(from)
    if (from > end) breaks.push({ from: end, to: from, isBridged: false })
    end = to
  }
  jump(Number.POSITIVE_INFINITY)
  return { breaks, end }
}
