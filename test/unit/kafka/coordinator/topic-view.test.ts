import { describe, expect, it } from 'vitest'
import { State, Topic } from '#core/state.ts'
import { TopicView } from '#kafka/coordinator/topic-view.ts'
import { REGEX_MAX_LENGTH } from '#kafka/regular-expressions.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'

function stateWith(...names: string[]): State {
  const state = new State()
  for (const name of names) state.topics.set(name, new Topic(`id-${name}`, name, new Map(), new Map()))
  return state
}

describe('topics by a regular expression', () => {
  it('are those that match from end to end', () => {
    const view = new TopicView(stateWith('logs', 'logs-a', 'my-logs', 'LOGS-b'), new SimClock())
    expect([...view.matching('logs')]).toEqual(['logs'])
    expect([...view.matching('logs.*')]).toEqual(['logs', 'logs-a'])
    expect([...view.matching('(?i)logs-[ab]')]).toEqual(['logs-a', 'LOGS-b'])
    expect([...view.matching('none')]).toEqual([])
  })

  it('are looked for again when topics have changed, and only then', () => {
    const state = stateWith('a1')
    const view = new TopicView(state, new SimClock())
    const before = view.matching('a.')
    expect(view.matching('a.')).toBe(before)
    state.topics.set('a2', new Topic('id', 'a2', new Map(), new Map()))
    state.topicsEpoch++
    expect([...view.matching('a.')]).toEqual(['a1', 'a2'])
  })

  it('are found in time that grows with their names alone, whatever the expression', () => {
    const view = new TopicView(stateWith(`${'a'.repeat(200)}!`), new SimClock())
    expect([...view.matching('(a+)+b')]).toEqual([])
    expect([...view.matching('(a|a)*(a|a)*(a|a)*c')]).toEqual([])
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
    const view = new TopicView(stateWith('a'), new SimClock())
    expect(view.isRegex(text)).toBe(false)
    expect([...view.matching(text)]).toEqual([])
  })

  /** A clock on which each look at it takes so long. */
  function slowClock(msPerLook: number) {
    const turns: (() => void)[] = []
    let nowMs = 0
    return {
      monotonicMs: () => (nowMs += msPerLook),
      soon: (call: () => void) => void turns.push(call),
      takeTurns: () => {
        let count = 0
        for (let turn = turns.shift(); turn !== undefined; turn = turns.shift(), count++) turn()
        return count
      },
    }
  }

  it('are found in turns that leave the thread to others, and are those of before meanwhile', () => {
    const clock = slowClock(1)
    const state = stateWith('a1', 'b1')
    const view = new TopicView(state, clock)
    view.matching('a.*')
    for (let i = 2; i < 30; i++) state.topics.set(`a${i}`, new Topic(`id-${i}`, `a${i}`, new Map(), new Map()))
    state.topicsEpoch++
    const { epoch } = view
    expect([...view.matching('a.*')]).toEqual(['a1'])
    expect(clock.takeTurns()).toBeGreaterThan(5)
    expect(view.epoch).toBeGreaterThan(epoch)
    expect(view.matching('a.*').size).toBe(29)
    expect(clock.takeTurns()).toBe(0)
  })

  it('are given up if they take too long, and the expression is refused from then on', () => {
    const clock = slowClock(300)
    const view = new TopicView(stateWith('a1', 'a2', 'a3', 'a4', 'a5', 'a6'), clock)
    expect(view.isRegex('a.*')).toBe(true)
    view.matching('a.*')
    clock.takeTurns()
    expect(view.matching('a.*').size).toBe(0)
    expect(view.isRegex('a.*')).toBe(false)
    expect(clock.takeTurns()).toBe(0)
  })

  it('are found for more expressions than are kept', () => {
    const view = new TopicView(stateWith('t7'), new SimClock())
    for (let i = 0; i < 1100; i++) expect(view.matching(`t${i}`).size).toBe(i === 7 ? 1 : 0)
    expect(view.matching('t7').size).toBe(1)
  })
})
