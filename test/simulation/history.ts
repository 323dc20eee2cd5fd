import type { Change } from '#core/change-records.ts'
import type { Outcome } from '#core/core.ts'
import type { State } from '#core/state.ts'
import type { SentBatch } from './batches.ts'
import { Model, type Verdict } from './model.ts'

// What clients were told, and what they were not told: from this follows what the log may and what it must be after a restart.
// Everything decided is applied to the model in the order in which it was decided. What is staged and undecided is in limbo: a
// restart may find all of it, nothing, or a beginning of it. What was refused may be found as long as nothing was written over it.

export class Violation extends Error {}

export type Item =
  | { readonly kind: 'batch'; readonly sent: SentBatch }
  | { readonly kind: 'change'; readonly change: Change }

interface Decided {
  readonly item: Item
  /** End of the flush that decided it. */
  readonly position: number
}

export class History {
  model = new Model()
  #decided: Decided[] = []
  #limbo: Item[] = []
  /** Refused together, newest last. */
  #refused: Item[][] = []
  #refusalGoesOn = false

  get decidedCount(): number {
    return this.#decided.length
  }

  stage(item: Item): Item {
    this.#limbo.push(item)
    this.#refusalGoesOn = false
    return item
  }

  batchDecided(sent: SentBatch, verdict: Verdict, baseOffset: number, position: number): void {
    const item = this.#next('batch')
    if (item.kind !== 'batch' || item.sent !== sent) {
      throw new Violation(`batch ${sent.id} is decided before batch ${item.kind === 'batch' ? item.sent.id : ''}`)
    }
    const expected = this.model.produce(sent)
    if (expected.verdict !== verdict || expected.baseOffset !== baseOffset) {
      throw new Violation(
        `batch ${sent.id} is ${verdict} at ${baseOffset} where it should be ${expected.verdict} at ${expected.baseOffset}`,
      )
    }
    if (verdict === 'accepted') this.#decided.push({ item, position })
    this.#refused = []
  }

  /** The next change was applied: what should have come of it? */
  changeApplied(position: number): { change: Change; outcome: Outcome } {
    const item = this.#next('change')
    if (item.kind !== 'change') throw new Violation('a change is applied that nobody proposed')
    const outcome = this.model.change(item.change)
    this.#decided.push({ item, position })
    this.#refused = []
    return { change: item.change, outcome }
  }

  #next(kind: Item['kind']): Item {
    const index = this.#limbo.findIndex(item => item.kind === kind)
    if (index < 0) throw new Violation(`a ${kind} is decided that nobody waits for`)
    return this.#limbo.splice(index, 1)[0]!
  }

  refused(item: Item): void {
    const index = this.#limbo.indexOf(item)
    if (index < 0) throw new Violation('something is refused that nobody waits for')
    this.#limbo.splice(index, 1)
    const last = this.#refused.at(-1)
    if (this.#refusalGoesOn && last !== undefined) last.push(item)
    else this.#refused.push([item])
    this.#refusalGoesOn = true
  }

  /** A restart found this state, and the log ending at this position. Returns how many undecided items it found. */
  restarted(found: State, position: number, mayLose: boolean): number {
    const sure = this.#decided.filter(decided => decided.position <= position)
    const lost = this.#decided.slice(sure.length)
    if (lost.length > 0 && !mayLose) {
      throw new Violation(
        `the log ends at ${position}, but what was decided at ${lost.at(-1)!.position} was acknowledged`,
      )
    }
    const candidates = [[...lost.map(({ item }) => item), ...this.#limbo], ...this.#refused.reverse()]
    for (const items of candidates) {
      const model = modelOf(sure)
      for (let count = 0; count <= items.length; count++) {
        if (count > 0) applyTo(model, items[count - 1]!)
        if (model.differenceTo(found) !== null) continue
        this.model = model
        this.#decided = [...sure, ...items.slice(0, count).map(item => ({ item, position }))]
        this.#limbo = []
        this.#refused = []
        return count
      }
    }
    throw new Violation(
      `no beginning of what was undecided (${candidates.map(items => items.length)}) explains the state that was found: ` +
        `without any of it, ${modelOf(sure).differenceTo(found)}; with all, ${modelOf(this.#all(sure, lost)).differenceTo(found)}`,
    )
  }

  #all(sure: Decided[], lost: Decided[]): Decided[] {
    return [...sure, ...lost, ...this.#limbo.map(item => ({ item, position: 0 }))]
  }
}

function modelOf(decided: Decided[]): Model {
  const model = new Model()
  for (const { item } of decided) applyTo(model, item)
  return model
}

function applyTo(model: Model, item: Item): void {
  if (item.kind === 'batch') model.produce(item.sent)
  else model.change(item.change)
}
