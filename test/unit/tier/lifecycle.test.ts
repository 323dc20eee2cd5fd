import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { Change } from '#core/change-records.ts'
import { OWN_OBJECT, type Segment } from '#core/segments.ts'
import { keyOfGarbage, parseSegmentKey, segmentKey } from '#segments/segment-names.ts'
import { TierLab } from '#test/support/tier-lab.ts'
import { Collector } from '#tier/collector.ts'
import { isUnreferenced } from '#tier/orphans.ts'

// Each cell of the table in docs/decisions/tiers.md: an object is brought into a state, something happens, and what it is then is what
// the table says.

const STATES = ['open', 'uploaded', 'sealed', 'rewritten', 'garbage', 'orphan', 'deleted'] as const
type LifeState = (typeof STATES)[number]

const EVENTS = ['upload', 'commit', 'replace', 'expire', 'drop', 'take over', 'collect', 'sweep', 'restart'] as const
type LifeEvent = (typeof EVENTS)[number]

const NEVER = '-'
const RECORDS = 5
const RECORDS_OF_ALL = 7
const READ_GRACE_MS = 60_000
const TOPIC_ID = 'id-of-topic'
const patient = new AbortController().signal
const nothingInFlight = () => ({ sharedAt: Number.POSITIVE_INFINITY, revision: Number.POSITIVE_INFINITY })

const SEALED: Segment = {
  ...{ baseOffset: 0, nextOffset: RECORDS, sizeBytes: 500, maxTimestampMs: 1000, createdMs: 1, place: 0 },
  ...{ indexPlace: 600, indexBytes: 100, generation: 0, revision: 0, sharedAt: OWN_OBJECT, hash: 1 },
}
const REWRITTEN: Segment = { ...SEALED, revision: 7, hash: 2 }

/** The first records of a partition, and an object of them. */
class Life {
  tiers: TierLab
  segment = SEALED

  private constructor(tiers: TierLab) {
    this.tiers = tiers
  }

  static async in(state: LifeState): Promise<Life> {
    const tiers = await TierLab.open()
    await tiers.lab.topic('topic')
    await tiers.lab.appendMany(tiers.partition(), RECORDS_OF_ALL)
    const life = new Life(tiers)
    for (const event of WAYS[state]) await life.meets(event)
    if (state === 'rewritten') await life.#rewrite()
    expect(await life.state()).toBe(state)
    return life
  }

  #keyOf({ generation, revision, sharedAt, hash, baseOffset, nextOffset }: Segment): string {
    const name = { generation, revision, sharedAt, hash, baseOffset, nextOffset }
    return segmentKey({ ...name, topicName: 'topic', topicId: TOPIC_ID, partition: 0 })
  }

  // ---- events

  meets(event: LifeEvent): Promise<unknown> {
    const { lab } = this.tiers
    const ordinal = 0
    switch (event) {
      case 'upload':
        return this.#upload(this.segment)
      case 'commit':
        return this.#propose({ kind: 'segments-committed', parts: [{ ordinal, segment: this.segment }] })
      case 'replace':
        return this.#replaceBy({ ...this.segment, revision: 9, hash: 3 })
      case 'expire':
        return this.#propose({ kind: 'log-start-moved', ordinal, offset: RECORDS_OF_ALL })
      case 'drop':
        return this.#propose({ kind: 'topic-deleted', id: TOPIC_ID })
      case 'take over':
        return this.#propose({ kind: 'generation-begun', generation: 1, ownerId: 'another' })
      case 'collect':
        return this.#collect(async collector => {
          await lab.clock.run(collector.collect())
          await lab.clock.runFor(READ_GRACE_MS)
          await lab.clock.run(collector.collect())
        })
      case 'sweep':
        return this.#collect(async collector => {
          await lab.clock.run(collector.sweep())
          await lab.clock.run(collector.sweep())
        })
      case 'restart':
        return this.#restart()
    }
  }

  #upload(segment: Segment): Promise<void> {
    const { clock, store } = this.tiers
    return clock.run(store.put(this.#keyOf(segment), [Buffer.from('records')], patient))
  }

  #propose(change: Change): Promise<string> {
    return this.tiers.lab.propose(change)
  }

  #replaceBy(by: Segment): Promise<string> {
    const { segment: replaced } = this
    return this.#propose({ kind: 'segments-replaced', ordinal: 0, replaced: [replaced], by: [by], cleaned: null })
  }

  /** From here on it is about the object that takes the place of the first. */
  async #rewrite(): Promise<void> {
    await this.#upload(REWRITTEN)
    expect(await this.#replaceBy(REWRITTEN)).toBe('NONE')
    this.segment = REWRITTEN
  }

  async #collect(work: (collector: Collector) => Promise<void>): Promise<void> {
    const { log, store, clock } = this.tiers
    const collector = new Collector({
      ...{ log, store, clock, restoreWindowMs: 0, inFlight: nothingInFlight, isArchived: () => true },
      metrics: { deleted() {}, orphansFound() {}, failed() {} },
      confirm: async () => {},
      forget() {},
      report() {},
    })
    await work(collector)
    await clock.run(collector.close())
  }

  async #restart(): Promise<void> {
    this.tiers = await this.tiers.crash()
  }

  // ---- what it is now

  async state(): Promise<LifeState> {
    const { state } = this.tiers.log
    const key = this.#keyOf(this.segment)
    const isThere = (await this.tiers.clock.run(this.tiers.store.head(key, patient))) !== null
    const isGarbage = [...state.garbage.values()].some(garbage => {
      const keys = Array.from({ length: garbage.segments.length }, (_, i) =>
        keyOfGarbage(garbage, garbage.segments.at(i)),
      )
      return keys.includes(key)
    })
    const row = this.#row()
    expect(Number(isGarbage) + Number(row !== null)).toBeLessThanOrEqual(1)
    if (isGarbage || row !== null) expect(isThere).toBe(true)
    if (isGarbage) return 'garbage'
    if (row !== null) return row.revision > 0 ? 'rewritten' : 'sealed'
    if (isThere) return isUnreferenced(parseSegmentKey(key)!, state, nothingInFlight()) ? 'orphan' : 'uploaded'
    const partition = state.topicsById.get(TOPIC_ID)?.partitions[0]
    return partition !== undefined && partition.walStart === 0 && partition.logStart === 0 ? 'open' : 'deleted'
  }

  #row(): Segment | null {
    const segments = this.tiers.log.state.topicsById.get(TOPIC_ID)?.partitions[0]?.segments
    const index = segments?.indexOf(0) ?? -1
    const row = index < 0 ? null : segments!.at(index)
    return row?.hash === this.segment.hash ? row : null
  }
}

/** From open. */
const WAYS: Readonly<Record<LifeState, readonly LifeEvent[]>> = {
  open: [],
  uploaded: ['upload'],
  sealed: ['upload', 'commit'],
  rewritten: ['upload', 'commit'],
  garbage: ['upload', 'commit', 'expire'],
  orphan: ['upload', 'expire'],
  deleted: ['upload', 'commit', 'expire', 'collect'],
}

function readTable(): Map<string, Map<string, string>> {
  const path = fileURLToPath(new URL('../../../docs/decisions/tiers.md', import.meta.url))
  const lines = readFileSync(path, 'utf8').split('\n')
  const cells = (line: string) =>
    line
      .split('|')
      .slice(1, -1)
      .map(cell => cell.trim())
  const begin = lines.findIndex(line => line.startsWith('| | upload |'))
  const events = cells(lines[begin]!).slice(1)
  const table = new Map<string, Map<string, string>>()
  for (let at = begin + 2; lines[at]!.startsWith('|'); at++) {
    const [state, ...becomes] = cells(lines[at]!)
    table.set(state!, new Map(becomes.map((next, i) => [events[i]!, next])))
  }
  return table
}

const table = readTable()

describe('the life of an object', () => {
  it('has a cell for each state and event', () => {
    expect([...table.keys()]).toEqual([...STATES])
    for (const row of table.values()) expect([...row.keys()]).toEqual([...EVENTS])
  })

  const pairs = STATES.flatMap(state => EVENTS.map(event => ({ state, event, next: table.get(state)?.get(event) })))
  it.each(pairs.filter(({ next }) => next !== NEVER))('$state, $event: $next', async ({ state, event, next }) => {
    const life = await Life.in(state)
    await life.meets(event)
    expect(await life.state()).toBe(next)
  })
})
