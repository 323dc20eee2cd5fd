import type { State } from '#core/state.ts'
import { compileRegex, type Regex } from '#kafka/regular-expressions.ts'

// The topics there are, as coordinators of consumer groups ask for them.

/** Expressions that are kept compiled. */
const KEPT_REGEXES = 1000

interface Compiled {
  readonly regex: Regex
  /** Names that match, of the topics of this epoch. */
  topicsEpoch: number
  names: ReadonlySet<string>
}

const NO_NAMES: ReadonlySet<string> = new Set()

export class TopicView {
  readonly #state: Pick<State, 'topics' | 'topicsById' | 'topicsEpoch'>
  readonly #compiled = new Map<string, Compiled>()

  constructor(state: Pick<State, 'topics' | 'topicsById' | 'topicsEpoch'>) {
    this.#state = state
  }

  /** Another number whenever topics come, grow or go. */
  get epoch(): number {
    return this.#state.topicsEpoch
  }

  idOf(name: string): string | undefined {
    return this.#state.topics.get(name)?.id
  }

  nameOf(id: string): string | undefined {
    return this.#state.topicsById.get(id)?.name
  }

  /** 0 for a topic that is not there. */
  partitionCountOf(id: string): number {
    return this.#state.topicsById.get(id)?.partitions.length ?? 0
  }

  isRegex(text: string): boolean {
    return this.#compile(text) !== null
  }

  /** Names of the topics that match from end to end. */
  matching(regex: string): ReadonlySet<string> {
    const compiled = this.#compile(regex)
    if (compiled === null) return NO_NAMES
    if (compiled.topicsEpoch !== this.epoch) {
      compiled.names = new Set([...this.#state.topics.keys()].filter(name => compiled.regex.matches(name)))
      compiled.topicsEpoch = this.epoch
    }
    return compiled.names
  }

  #compile(text: string): Compiled | null {
    const known = this.#compiled.get(text)
    if (known !== undefined) return known
    const regex = compileRegex(text)
    if (regex === null) return null
    const compiled: Compiled = { regex, topicsEpoch: -1, names: NO_NAMES }
    if (this.#compiled.size >= KEPT_REGEXES) this.#compiled.delete(this.#compiled.keys().next().value ?? '')
    this.#compiled.set(text, compiled)
    return compiled
  }
}
