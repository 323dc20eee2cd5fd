import { describe, expect, it } from 'vitest'
import type { Clock } from '#base/ports.ts'
import { ConsumerGroup } from '#core/consumer-groups.ts'
import { Group } from '#core/groups.ts'
import { State, Topic } from '#core/state.ts'
import { TopicView } from '#kafka/coordinator/topic-view.ts'
import { REGEX_MAX_LENGTH } from '#kafka/regular-expressions.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SlowClock } from '#test/support/slow-clock.ts'

function stateWith(...names: string[]): State {
  const state = new State()
  addTopics(state, ...names)
  return state
}

function addTopics(state: State, ...names: string[]): void {
  for (const name of names) state.topics.set(name, new Topic(`id-${name}`, name, new Map(), new Map()))
  state.topicsEpoch++
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => `a${i}`)

/** Whose members have these expressions. */
function groupOf(...regexes: string[]): Group {
  const group = new Group('g')
  group.consumer = new ConsumerGroup()
  const client = { instanceId: null, rackId: null, clientId: 'c', clientHost: '/h', rebalanceTimeoutMs: 1 }
  const wants = { topicNames: [], assignor: null, classic: null }
  for (const [i, topicRegex] of regexes.entries()) {
    group.consumer.apply({ kind: 'member', member: { id: `m${i}`, ...client, ...wants, topicRegex } })
  }
  return group
}

class View extends TopicView {
  readonly warnings: string[]

  constructor(state: State, clock: Pick<Clock, 'monotonicMs' | 'soon' | 'after'> = new SimClock()) {
    const warnings: string[] = []
    super(state, clock, { warn: message => void warnings.push(message) })
    this.warnings = warnings
  }

  /** Null: not known yet. */
  names(regex: string): string[] | null {
    const names = this.matching(regex)
    return names === null ? null : [...names]
  }
}

describe('topics by a regular expression', () => {
  it('are those that match from end to end', () => {
    const view = new View(stateWith('logs', 'logs-a', 'my-logs', 'LOGS-b'))
    expect(view.names('logs')).toEqual(['logs'])
    expect(view.names('logs.*')).toEqual(['logs', 'logs-a'])
    expect(view.names('(?i)logs-[ab]')).toEqual(['logs-a', 'LOGS-b'])
    expect(view.names('none')).toEqual([])
  })

  it('are looked for again when topics have changed, and only then', () => {
    const state = stateWith('a1')
    const view = new View(state)
    const before = view.matching('a.')
    expect(view.matching('a.')).toBe(before)
    addTopics(state, 'a2')
    expect(view.names('a.')).toEqual(['a1', 'a2'])
  })

  it('are found in time that grows with their names alone, whatever the expression', () => {
    const view = new View(stateWith(`${'a'.repeat(200)}!`))
    expect(view.names('(a+)+b')).toEqual([])
    expect(view.names('(a|a)*(a|a)*(a|a)*c')).toEqual([])
  })

  it.each([
    '(',
    '[a',
    'a{2,1}',
    '(?=a)',
    '(?<!a)b',
    'a\\1',
    'a**',
    'x'.repeat(REGEX_MAX_LENGTH + 1),
    `${'(.?){999}'.repeat(20)}b`,
  ])('are none of %j, which is no such expression', text => {
    const view = new View(stateWith('a'))
    expect(view.isRegex(text)).toBe(false)
    expect(view.names(text)).toEqual([])
  })

  it('are not known until all have been looked at, in turns that leave the thread to others', () => {
    const clock = new SlowClock(1)
    const view = new View(stateWith(...numbered(30)), clock)
    const { epoch } = view
    expect(view.names('a.*')).toBeNull()
    clock.takeTurns(5)
    expect([view.names('a.*'), view.epoch]).toEqual([null, epoch])
    expect(clock.takeTurns()).toBeGreaterThan(5)
    expect(view.epoch).toBeGreaterThan(epoch)
    expect(view.names('a.*')).toHaveLength(30)
    expect(clock.takeTurns()).toBe(0)
  })

  it('are those of before while it is looked for those of now', () => {
    const clock = new SlowClock(1)
    const state = stateWith('a1')
    const view = new View(state, clock)
    view.matching('a.*')
    addTopics(state, ...numbered(30))
    const { epoch } = view
    expect(view.names('a.*')).toEqual(['a1'])
    expect(view.matchingNow('a.*')).toBeNull()
    expect(clock.takeTurns()).toBeGreaterThan(5)
    expect(view.epoch).toBeGreaterThan(epoch)
    expect(view.names('a.*')).toHaveLength(30)
    expect(view.matchingNow('a.*')?.size).toBe(30)
  })

  it('are found however often the thread stands still meanwhile', () => {
    const clock = new SlowClock(5_000)
    const view = new View(stateWith(...numbered(20)), clock)
    view.matching('a.*')
    clock.takeTurns()
    expect(view.names('a.*')).toHaveLength(20)
    expect(view.isTooSlow('a.*')).toBe(false)
    expect(view.warnings).toEqual([])
  })

  it('are found slowly if they take long, and nobody new may ask for them until they are', () => {
    const clock = new SlowClock(15)
    const view = new View(stateWith(...numbered(200)), clock)
    expect(view.isTooSlow('a.*')).toBe(false)
    view.matching('a.*')
    while (clock.delaysMs.length === 0) clock.takeTurns(1)
    expect(view.warnings).toHaveLength(1)
    expect([view.names('a.*'), view.isTooSlow('a.*')]).toEqual([null, true])
    clock.takeTurns()
    expect(clock.delaysMs.length).toBeGreaterThan(50)
    expect(new Set(clock.delaysMs)).toEqual(new Set([100]))
    expect(view.names('a.*')).toHaveLength(200)
    expect(view.isTooSlow('a.*')).toBe(false)
    expect(view.warnings).toHaveLength(1)
  })

  it('are those of before while they are found slowly, and quickly again once that takes no longer', () => {
    const clock = new SlowClock(0)
    const state = stateWith(...numbered(200))
    const view = new View(state, clock)
    view.matching('a.*')
    clock.msPerLook = 15
    addTopics(state, 'a')
    view.matching('a.*')
    while (clock.delaysMs.length === 0) clock.takeTurns(1)
    expect(view.names('a.*')).toHaveLength(200)
    expect(view.isTooSlow('a.*')).toBe(false)
    clock.msPerLook = 0
    clock.takeTurns()
    expect(view.names('a.*')).toHaveLength(201)
    clock.delaysMs.length = 0
    // The last time it was slow, so the next time begins so.
    for (const topic of ['b', 'c']) {
      clock.msPerLook = 1
      addTopics(state, topic)
      view.matching('a.*')
      clock.takeTurns()
    }
    expect(clock.delaysMs).toHaveLength(100)
  })

  it('are found for one expression after the other, be they ever so many', () => {
    const clock = new SlowClock(1)
    const view = new View(stateWith(...numbered(30)), clock)
    const regexes = Array.from({ length: 20 }, (_, i) => `.*${i}`)
    for (const regex of regexes) view.matching(regex)
    expect(clock.waiting).toBe(1)
    clock.takeTurns(3)
    expect(clock.waiting).toBe(1)
    clock.takeTurns()
    expect(regexes.filter(regex => view.matching(regex) === null)).toEqual([])
  })

  it('are waited for longer the more is slow', () => {
    const clock = new SlowClock(15)
    const view = new View(stateWith(...numbered(200)), clock)
    for (const regex of ['a.*', '.*1', '.*2']) view.matching(regex)
    clock.takeTurns()
    expect(Math.max(...clock.delaysMs)).toBe(300)
    expect(view.names('.*1')).toHaveLength(20)
  })

  it('are looked for no longer once it is closed', () => {
    const clock = new SlowClock(1)
    const view = new View(stateWith(...numbered(30)), clock)
    view.matching('a.*')
    view.close()
    expect(clock.takeTurns()).toBe(1)
  })
})

describe('more expressions than are kept', () => {
  it('are matched all the same', () => {
    const view = new View(stateWith('t7'))
    for (let i = 0; i < 1100; i++) expect(view.matching(`t${i}`)?.size).toBe(i === 7 ? 1 : 0)
    expect(view.matching('t7')?.size).toBe(1)
  })

  it('take the place of those that no member has', () => {
    const clock = new SlowClock(0)
    const state = stateWith(...numbered(20))
    state.groups.set('g', groupOf('a.*'))
    const view = new View(state, clock)
    for (const regex of ['a.*', '.*1']) view.matching(regex)
    clock.msPerLook = 1
    for (let i = 0; i < 2_100; i++) view.isRegex(`t${i}`)
    expect(view.names('a.*')).toHaveLength(20)
    expect(view.names('.*1')).toBeNull()
  })

  it('leave those alone that members have, be they ever so many', () => {
    const clock = new SlowClock(0)
    const state = stateWith(...numbered(20))
    const regexes = Array.from({ length: 1_500 }, (_, i) => `a${i}`)
    state.groups.set('g', groupOf(...regexes))
    const view = new View(state, clock)
    for (const regex of regexes) view.matching(regex)
    clock.msPerLook = 1
    for (let i = 0; i < 4_000; i++) view.isRegex(`t${i}`)
    expect(regexes.filter(regex => view.matching(regex) === null)).toEqual([])
  })

  it('let who waits for one look again', () => {
    const clock = new SlowClock(1)
    const view = new View(stateWith(...numbered(30)), clock)
    expect(view.names('a.*')).toBeNull()
    const { epoch } = view
    for (let i = 0; i < 1_100; i++) view.isRegex(`t${i}`)
    expect(view.epoch).toBeGreaterThan(epoch)
    expect(clock.takeTurns()).toBe(1)
    view.matching('a.*')
    clock.takeTurns()
    expect(view.names('a.*')).toHaveLength(30)
  })
})
