import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { abortedWith } from '#base/linked-abort.ts'

describe('a signal that follows others', () => {
  it('is aborted with any of them, for its reason', () => {
    for (const which of [0, 1]) {
      const others = [new AbortController(), new AbortController()]
      const { signal } = abortedWith(...others.map(other => other.signal))
      expect(signal.aborted).toBe(false)
      others[which]!.abort('enough')
      expect([signal.aborted, signal.reason]).toEqual([true, 'enough'])
    }
  })

  it('is aborted from the begin if one of them is', () => {
    const { signal } = abortedWith(new AbortController().signal, AbortSignal.abort('before'))
    expect([signal.aborted, signal.reason]).toEqual([true, 'before'])
  })

  it('leaves nothing with them when it is let go', () => {
    const other = new AbortController()
    const linked = abortedWith(other.signal)
    expect(getEventListeners(other.signal, 'abort')).toHaveLength(1)
    linked.letGo()
    expect(getEventListeners(other.signal, 'abort')).toEqual([])
    other.abort()
    expect(linked.signal.aborted).toBe(false)
  })

  it('can be aborted alone', () => {
    const other = new AbortController()
    const linked = abortedWith(other.signal)
    linked.abort('late')
    expect([linked.signal.reason, other.signal.aborted]).toEqual(['late', false])
  })
})
