import { assert } from '#base/assert.ts'
import type { ChronikError } from '#base/errors.ts'

// What is committed and applied, and not answered yet: who keeps copies of the log elsewhere may want every answer to wait until
// its copy is there, or until it is sure that nobody else answers for the same log. Answers go in the order of the log.

interface SettledTicket {
  settled(slot: number, verdict: number, baseOffset: number, appendTimeMs: number): void
}

interface Settlement {
  readonly slot: number
  readonly verdict: number
  readonly baseOffset: number
  readonly appendTimeMs: number
}

/** The answers of one group. */
export class HeldAnswers {
  readonly endPosition: number
  readonly #answers: (() => void)[] = []
  readonly #refusals: ((error: ChronikError) => void)[] = []

  constructor(endPosition: number) {
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

  constructor(mayAnswer: (endPosition: number) => boolean) {
    this.#mayAnswer = mayAnswer
  }

  /** Null if what ends there is answered at once; else its answers are to be kept in what is returned. */
  keep(endPosition: number): HeldAnswers | null {
    if (this.#held.length === 0 && this.#mayAnswer(endPosition)) return null
    assert(endPosition > (this.#held.at(-1)?.endPosition ?? -1), 'groups come in the order of the log')
    const held = new HeldAnswers(endPosition)
    this.#held.push(held)
    return held
  }

  /** Lets go what may go now; true if there was something. */
  letGo(): boolean {
    let count = 0
    while (count < this.#held.length && this.#mayAnswer(this.#held[count]!.endPosition)) count++
    // Who is answered may look here again.
    for (const held of this.#held.splice(0, count)) held.go()
    return count > 0
  }

  /** Nothing more will be answered. */
  refuseAll(error: ChronikError): void {
    for (const held of this.#held.splice(0)) held.refuse(error)
  }
}
