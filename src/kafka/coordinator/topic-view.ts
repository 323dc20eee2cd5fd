import { assert } from '#base/assert.ts'
import type { Clock } from '#base/ports.ts'
import type { State } from '#core/state.ts'
import { RegexSearch } from '#kafka/regex-search.ts'
import { compileRegex, type Regex } from '#kafka/regular-expressions.ts'
import type { Logger } from '#observe/log.ts'

// The topics there are, as coordinators of consumer groups ask for them. Which of them an expression matches is found out in slices of
// the broker's thread, and kept until the topics change; meanwhile it matches what it did before. Most are done within the first slice.
// It is kept nowhere else: after a start nobody knows it until it has been found out, which is another thing than to match nothing.

/** Expressions that are kept compiled, unless members of groups have more. */
const KEPT_REGEXES = 1000
/** Between two slices of what is slow: all of it together has a fiftieth of the thread. */
const SLOW_PAUSE_MS = 100

type Topics = Pick<State, 'topics' | 'topicsById' | 'topicsEpoch' | 'groups'>
type Time = Pick<Clock, 'monotonicMs' | 'soon' | 'after'>

interface Compiled {
  readonly text: string
  readonly regex: Regex
  /** Names that match, of the topics of this epoch; null: never found out. */
  names: ReadonlySet<string> | null
  topicsEpoch: number
  isResolving: boolean
  /** It takes long, or did the last time. */
  isSlow: boolean
}

const NO_NAMES: ReadonlySet<string> = new Set()

export class TopicView {
  readonly #state: Topics
  readonly #clock: Time
  readonly #logger: Pick<Logger, 'warn'>
  readonly #compiled = new Map<string, Compiled>()
  /** Slices of what is not slow, of which one at a time has its turn. */
  readonly #slices: (() => void)[] = []
  /** What is being resolved slowly. */
  readonly #slow = new Set<Compiled>()
  #keptMax = KEPT_REGEXES
  #resolvedLate = 0

  constructor(state: Topics, clock: Time, logger: Pick<Logger, 'warn'>) {
    this.#state = state
    this.#clock = clock
    this.#logger = logger
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
    return this.#compile(text) !== null
  }

  /** Is it one of which it will not be known for long what it matches? */
  isTooSlow(text: string): boolean {
    const compiled = this.#compile(text)
    return compiled?.isSlow === true && compiled.names === null
  }

  /** Names of the topics that match from end to end, or did when there were other topics; null: that is not known yet. */
  matching(regex: string): ReadonlySet<string> | null {
    const compiled = this.#compile(regex)
    if (compiled === null) return NO_NAMES
    if (!this.#isCurrent(compiled) && !compiled.isResolving) this.#resolve(compiled)
    return compiled.names
  }

  /** The same, of the topics there are now alone; null: that is not known yet. */
  matchingNow(regex: string): ReadonlySet<string> | null {
    const names = this.matching(regex)
    const compiled = this.#compile(regex)
    return compiled === null || this.#isCurrent(compiled) ? names : null
  }

  /** Nothing happens by itself any more. */
  close(): void {
    this.#compiled.clear()
  }

  #isCurrent({ names, topicsEpoch }: Compiled): boolean {
    return names !== null && topicsEpoch === this.#state.topicsEpoch
  }

  #resolve(compiled: Compiled): void {
    const { topics, topicsEpoch } = this.#state
    const search = new RegexSearch(compiled.regex, [...topics.keys()], name => name, this.#clock)
    const slice = (isLate: boolean): void => {
      if (this.#compiled.get(compiled.text) !== compiled) {
        this.#slow.delete(compiled)
        return
      }
      const stage = search.goOn()
      assert(stage !== 'too-many-steps', 'names of topics are short')
      if (stage === 'unfinished') {
        if (search.isSlow && !compiled.isSlow) this.#slowDown(compiled)
        this.#goOn(compiled, () => slice(true))
        return
      }
      compiled.names = new Set(search.found)
      compiled.topicsEpoch = topicsEpoch
      compiled.isResolving = false
      compiled.isSlow = search.isSlow
      this.#slow.delete(compiled)
      if (isLate) this.#resolvedLate++
    }
    compiled.isResolving = true
    slice(false)
  }

  #slowDown(compiled: Compiled): void {
    compiled.isSlow = true
    this.#logger.warn('a regular expression of a consumer group takes long to match the topics', {
      regex: compiled.text,
    })
  }

  #goOn(compiled: Compiled, slice: () => void): void {
    if (compiled.isSlow) {
      this.#slow.add(compiled)
      this.#clock.after(SLOW_PAUSE_MS * this.#slow.size, slice)
      return
    }
    this.#slices.push(slice)
    if (this.#slices.length === 1) this.#clock.soon(() => this.#takeTurn())
  }

  #takeTurn(): void {
    const slice = this.#slices.shift()!
    if (this.#slices.length > 0) this.#clock.soon(() => this.#takeTurn())
    slice()
  }

  #compile(text: string): Compiled | null {
    const known = this.#compiled.get(text)
    if (known !== undefined) return known
    const regex = compileRegex(text)
    if (regex === null) return null
    const compiled: Compiled = { text, regex, names: null, topicsEpoch: -1, isResolving: false, isSlow: false }
    if (this.#compiled.size >= this.#keptMax) this.#dropUnused()
    this.#compiled.set(text, compiled)
    return compiled
  }

  /** What members have must stay: until it is found out again, their groups stand still. */
  #dropUnused(): void {
    const used = new Set<string>()
    for (const { consumer } of this.#state.groups.values()) {
      for (const { topicRegex } of consumer?.members.values() ?? []) used.add(topicRegex)
    }
    for (const [text, { isResolving }] of this.#compiled) {
      if (used.has(text)) continue
      this.#compiled.delete(text)
      // A member that is on its way to the disk may wait for it: who looks again asks for it anew.
      if (isResolving) this.#resolvedLate++
    }
    // Looking at all members is for every so many new expressions.
    this.#keptMax = Math.max(KEPT_REGEXES, this.#compiled.size * 2)
  }
}
