/** How much of a long suite is run: all of it, or the part that CHRONIK_LONG_SCALE says (0.1: a tenth), at least one. */
export function scaled(count: number): number {
  return Math.max(1, Math.round(count * Number(process.env.CHRONIK_LONG_SCALE ?? 1)))
}
