import type { Clock } from '#base/ports.ts'
import type { State } from '#core/state.ts'
import { RegexSearch } from '#kafka/regex-search.ts'
import { compileRegex, type Regex } from '#kafka/regular-expressions.ts'

// The topics there are, as coordinators of consumer groups ask for them. Which of them an expression matches is found out in slices of
// the broker's thread, and kept until the topics change; meanwhile it matches what it did before. Most are done within the first slice.

/** Expressions that are kept compiled. */
const KEPT_REGEXES = 1000

interface Compiled {
  readonly regex: Regex
  /** Names that match, of the topics of this epoch. */
  topicsEpoch: number
  names: ReadonlySet<string>
  isResolving: boolean
  /** It took too long: from then on it matches nothing. */
  isGivenUp: boolean
}

const NO_NAMES: ReadonlySet<string> = new Set()

export class TopicView {
  readonly #state: Pick<State, 'topics' | 'topicsById' | 'topicsEpoch'>
  readonly #clock: Pick<Clock, 'monotonicMs' | 'soon'>
  readonly #compiled = new Map<string, Compiled>()
  #resolvedLate = 0

  constructor(state: Pick<State, 'topics' | 'topicsById' | 'topicsEpoch'>, clock: Pick<Clock, 'monotonicMs' | 'soon'>) {
    this.#state = state
    this.#clock = clock
  }

  /** Another number whenever topics come, grow or go, or it was found out late which of them an expression matches. */
  get epoch(): number {
    return this.#state.topicsEpoch + this.#resolvedLate
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
    return this.#compile(text)?.isGivenUp === false
  }

  /** Names of the topics that match from end to end, as far as it is known. */
  matching(regex: string): ReadonlySet<string> {
    const compiled = this.#compile(regex)
    if (compiled === null) return NO_NAMES
    const isOld = compiled.topicsEpoch !== this.#state.topicsEpoch
    if (isOld && !compiled.isResolving && !compiled.isGivenUp) this.#resolve(compiled)
    return compiled.names
  }

  #resolve(compiled: Compiled): void {
    const { topics, topicsEpoch } = this.#state
    const search = new RegexSearch(compiled.regex, [...topics.keys()], name => name, this.#clock)
    compiled.isResolving = true
    const slice = (isLate: boolean): void => {
      const stage = search.goOn()
      if (stage === 'unfinished') {
        this.#clock.soon(() => slice(true))
        return
      }
      compiled.isGivenUp = stage === 'given-up'
      compiled.names = compiled.isGivenUp ? NO_NAMES : new Set(search.found)
      compiled.topicsEpoch = topicsEpoch
      compiled.isResolving = false
      if (isLate) this.#resolvedLate++
    }
    slice(false)
  }

  #compile(text: string): Compiled | null {
    const known = this.#compiled.get(text)
    if (known !== undefined) return known
    const regex = compileRegex(text)
    if (regex === null) return null
    const unresolved = { topicsEpoch: -1, names: NO_NAMES, isResolving: false, isGivenUp: false }
    const compiled: Compiled = { regex, ...unresolved }
    if (this.#compiled.size >= KEPT_REGEXES) this.#compiled.delete(this.#compiled.keys().next().value ?? '')
    this.#compiled.set(text, compiled)
    return compiled
  }
}
