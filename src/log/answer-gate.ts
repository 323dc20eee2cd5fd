import { assert } from '#base/assert.ts'
import type { ChronikError } from '#base/errors.ts'

// What is committed and applied, and not answered yet: who keeps copies of the log elsewhere may want every answer to wait until
// its copy is there, or until it is sure that nobody else answers for the same log. Answers go in the order of the log. What is
// not answered may never have been, so consumers do not see it either.

interface SettledTicket {
  settled(slot: number, verdict: number, baseOffset: number, appendTimeMs: number): void
}

interface Settlement {
  readonly slot: number
  readonly verdict: number
  readonly baseOffset: number
  readonly appendTimeMs: number
}

/** Up to where a partition may be read. */
export interface ReadBound {
  readonly highWatermark: number
  readonly lastStableOffset: number
}

/** The answers of one group. */
export class HeldAnswers {
  readonly position: number
  readonly endPosition: number
  /** By ordinal: of the partitions that the group changed, as they were before it. */
  readonly bounds = new Map<number, ReadBound>()
  readonly #answers: (() => void)[] = []
  readonly #refusals: ((error: ChronikError) => void)[] = []

  constructor(position: number, endPosition: number) {
    this.position = position
    this.endPosition = endPosition
  }

  settleLater(ticket: SettledTicket, { slot, verdict, baseOffset, appendTimeMs }: Settlement): void {
    this.#answers.push(() => ticket.settled(slot, verdict, baseOffset, appendTimeMs))
  }

  /** `refused` is called if the answer never goes. */
  decideLater(decide: () => void, refused: (error: ChronikError) => void): void {
    this.#answers.push(decide)
    this.#refusals.push(refused)
  }

  go(): void {
    for (const answer of this.#answers) answer()
  }

  refuse(error: ChronikError): void {
    for (const refused of this.#refusals) refused(error)
  }
}

export class AnswerGate {
  readonly #mayAnswer: (endPosition: number) => boolean
  #held: HeldAnswers[] = []
  /** By ordinal, of what is held first. */
  #bounds = new Map<number, ReadBound>()
  /** From there on nothing will ever be answered. */
  #refused: { readonly position: number; readonly error: ChronikError } | null = null
  #isOpen = false

  constructor(mayAnswer: (endPosition: number) => boolean) {
    this.#mayAnswer = mayAnswer
  }

  /** Null: all that is committed is answered. */
  get heldFrom(): number | null {
    return this.#held[0]?.position ?? this.#refused?.position ?? null
  }

  /** Resolves when all that is committed now is answered; rejects if that never will be. */
  answered(): Promise<void> {
    const last = this.#held.at(-1)
    if (last !== undefined) return new Promise((resolve, reject) => last.decideLater(resolve, reject))
    return this.#refused === null ? Promise.resolve() : Promise.reject(this.#refused.error)
  }

  /** From now on all may be answered at once. */
  open(): void {
    this.#isOpen = true
  }

  /** Null if what is between the positions is answered at once; else its answers are to be kept in what is returned. */
  keep(position: number, endPosition: number): HeldAnswers | null {
    if (this.#held.length === 0 && this.#mayGo(endPosition)) return null
    assert(endPosition > (this.#held.at(-1)?.endPosition ?? -1), 'groups come in the order of the log')
    const held = new HeldAnswers(position, endPosition)
    this.#held.push(held)
    return held
  }

  /** Undefined: all of it may be read. */
  boundOf(ordinal: number): ReadBound | undefined {
    return this.#bounds.get(ordinal)
  }

  /** What is kept there changed the partition, which was read up to there before. */
  bind(held: HeldAnswers, ordinal: number, bound: ReadBound): void {
    if (!held.bounds.has(ordinal)) held.bounds.set(ordinal, bound)
    if (!this.#bounds.has(ordinal)) this.#bounds.set(ordinal, bound)
  }

  /** Lets go what may go now; `freed` is told of partitions of which more may be read. True if there was something. */
  letGo(freed: (ordinal: number) => void): boolean {
    let count = 0
    while (count < this.#held.length && this.#mayGo(this.#held[count]!.endPosition)) count++
    const gone = this.#held.splice(0, count)
    if (count > 0) this.#bounds = firstBounds(this.#held)
    for (const held of gone) for (const ordinal of held.bounds.keys()) freed(ordinal)
    // Who is answered may look here again.
    for (const held of gone) held.go()
    return count > 0
  }

  #mayGo(endPosition: number): boolean {
    return this.#isOpen || this.#mayAnswer(endPosition)
  }

  /** Nothing more will be answered. */
  refuseAll(error: ChronikError): void {
    const [first] = this.#held
    if (first !== undefined) this.#refused ??= { position: first.position, error }
    for (const held of this.#held.splice(0)) held.refuse(error)
  }
}

function firstBounds(held: readonly HeldAnswers[]): Map<number, ReadBound> {
  const bounds = new Map<number, ReadBound>()
  for (const { bounds: own } of held)
    for (const [ordinal, bound] of own) if (!bounds.has(ordinal)) bounds.set(ordinal, bound)
  return bounds
}
