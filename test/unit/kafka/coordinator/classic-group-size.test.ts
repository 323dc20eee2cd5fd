import { describe, expect, it } from 'vitest'
import { ClassicGroup, type Member, NO_BYTES } from '#kafka/coordinator/classic-group.ts'

function member(id: string, names: readonly string[]): Member {
  const protocols = names.map(name => ({ name, metadata: Buffer.from(id) }))
  const times = { sessionTimeoutMs: 1000, rebalanceTimeoutMs: 1000, expiresMs: 0 }
  const place = {
    instanceId: null,
    clientId: id,
    clientHost: '/',
    assignment: NO_BYTES,
    joinToken: null,
    syncToken: null,
  }
  return { id, ...place, ...times, protocols, isNew: false }
}

describe('what members of a classic group have in common', () => {
  it('is known while they come, change their minds and go', () => {
    const group = new ClassicGroup('g')
    group.protocolType = 'consumer'
    const [a, b] = [member('a', ['sticky', 'range', 'range']), member('b', ['range', 'roundrobin'])]
    group.add(a)
    const can = (name: string) => group.supports('consumer', [{ name, metadata: NO_BYTES }])
    expect(['sticky', 'range', 'roundrobin'].map(can)).toEqual([true, true, false])
    group.add(b)
    expect(['sticky', 'range', 'roundrobin'].map(can)).toEqual([false, true, false])
    expect(group.selectProtocol()).toBe('range')
    group.offer(a, member('a', ['roundrobin']).protocols)
    expect(['sticky', 'range', 'roundrobin'].map(can)).toEqual([false, false, true])
    group.remove('b')
    group.offer(a, member('a', ['sticky']).protocols)
    expect(['sticky', 'range', 'roundrobin'].map(can)).toEqual([true, false, false])
    expect(group.bytesBesides('a')).toBe(0)
  })

  it('is found among 10,000 members in the time that it takes to ask each once', () => {
    const group = new ClassicGroup('g')
    for (let i = 0; i < 10_000; i++) group.add(member(`m-${i}`, ['sticky', 'range']))
    const beganMs = performance.now()
    expect(group.selectProtocol()).toBe('sticky')
    // 3.5 s if each asks all the others.
    expect(performance.now() - beganMs).toBeLessThan(500)
  })
})
