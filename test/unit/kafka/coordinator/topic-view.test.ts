import { describe, expect, it } from 'vitest'
import { State, Topic } from '#core/state.ts'
import { TopicView } from '#kafka/coordinator/topic-view.ts'
import { REGEX_MAX_LENGTH } from '#kafka/regular-expressions.ts'

function stateWith(...names: string[]): State {
  const state = new State()
  for (const name of names) state.topics.set(name, new Topic(`id-${name}`, name, new Map(), new Map()))
  return state
}

describe('topics by a regular expression', () => {
  it('are those that match from end to end', () => {
    const view = new TopicView(stateWith('logs', 'logs-a', 'my-logs', 'LOGS-b'))
    expect([...view.matching('logs')]).toEqual(['logs'])
    expect([...view.matching('logs.*')]).toEqual(['logs', 'logs-a'])
    expect([...view.matching('(?i)logs-[ab]')]).toEqual(['logs-a', 'LOGS-b'])
    expect([...view.matching('none')]).toEqual([])
  })

  it('are looked for again when topics have changed, and only then', () => {
    const state = stateWith('a1')
    const view = new TopicView(state)
    const before = view.matching('a.')
    expect(view.matching('a.')).toBe(before)
    state.topics.set('a2', new Topic('id', 'a2', new Map(), new Map()))
    state.topicsEpoch++
    expect([...view.matching('a.')]).toEqual(['a1', 'a2'])
  })

  it('are found in time that grows with their names alone, whatever the expression', () => {
    const view = new TopicView(stateWith(`${'a'.repeat(200)}!`))
    expect([...view.matching('(a+)+b')]).toEqual([])
    expect([...view.matching('(a|a)*(a|a)*(a|a)*c')]).toEqual([])
  })

  it.each(['(', '[a', 'a{2,1}', '(?=a)', '(?<!a)b', 'a\\1', 'a**', 'x'.repeat(REGEX_MAX_LENGTH + 1)])(
    'are none of %j, which is no such expression',
    text => {
      const view = new TopicView(stateWith('a'))
      expect(view.isRegex(text)).toBe(false)
      expect([...view.matching(text)]).toEqual([])
    },
  )

  it('are found for more expressions than are kept', () => {
    const view = new TopicView(stateWith('t7'))
    for (let i = 0; i < 1100; i++) expect(view.matching(`t${i}`).size).toBe(i === 7 ? 1 : 0)
    expect(view.matching('t7').size).toBe(1)
  })
})
