// What groups committed, and what they were told of it.

import { BrokenPromise } from '#test/crash/history.ts'
import { nameOf, type Place } from './ledger.ts'

interface Committed {
  readonly group: string
  readonly place: Place
  /** -1: none. */
  stored: number
  /** Asked for since, and not answered: each may have come to pass. */
  asked: number[]
}

export class Offsets {
  readonly #all = new Map<string, Committed>()
  readonly #next = new Map<string, number>()

  /** Another one each time. */
  next(whose: string): number {
    const next = (this.#next.get(whose) ?? 0) + 1
    this.#next.set(whose, next)
    return next
  }

  asked(group: string, place: Place, offset: number): void {
    this.#find(group, place).asked.push(offset)
  }

  stored(group: string, place: Place, offset: number): void {
    Object.assign(this.#find(group, place), { stored: offset, asked: [] })
  }

  get groups(): ReadonlyMap<string, readonly Committed[]> {
    return Map.groupBy(this.#all.values(), ({ group }) => group)
  }

  /** `found`: -1 if there is none. */
  check(group: string, place: Place, found: number): void {
    const { stored, asked } = this.#find(group, place)
    if (found === stored || asked.includes(found)) return
    const expected = [stored, ...asked].join(', ')
    throw new BrokenPromise(`${group} had committed ${expected} of ${nameOf(place)}, and it is ${found}`)
  }

  #find(group: string, place: Place): Committed {
    const name = `${group} ${nameOf(place)}`
    const known = this.#all.get(name) ?? { group, place, stored: -1, asked: [] }
    this.#all.set(name, known)
    return known
  }
}
