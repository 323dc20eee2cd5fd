import type { Clock } from '#base/ports.ts'

/** Counts from now on how often somebody lets others have their turn. */
export function countTurns(clock: Clock): { count: number } {
  const turns = { count: 0 }
  const soon = clock.soon.bind(clock)
  clock.soon = call => {
    turns.count++
    soon(call)
  }
  return turns
}
