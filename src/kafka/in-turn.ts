import type { Broker } from './broker.ts'

/**
 * Does one piece of work after the other, so that what it has read of the state still holds when its change is made: two
 * requests at once neither pass a limit together, nor does one undo the configs that the other has set.
 */
export function inTurn<T>(broker: Broker, work: () => Promise<T>): Promise<T> {
  const turn = broker.lastTurn.then(work)
  // Whoever takes this turn hears of its failure; the next one only waits for its end.
  broker.lastTurn = turn.catch(() => undefined)
  return turn
}
