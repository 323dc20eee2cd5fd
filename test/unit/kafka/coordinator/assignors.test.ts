import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Target } from '#core/consumer-groups.ts'
import { ASSIGNORS, type Assignee, type Targets } from '#kafka/coordinator/assignors.ts'

const assignors = [...ASSIGNORS].map(([name, assign]) => ({ name, assign }))
const uniform = ASSIGNORS.get('uniform')!
const range = ASSIGNORS.get('range')!

interface Group {
  members: Assignee[]
  counts: Map<string, number>
}

const TOPICS = ['t', 'u', 'v', 'w']

/** `t:0,1 u:2` of each member. */
function shown(targets: Targets): Record<string, string> {
  const texts = [...targets].map(([id, target]) => {
    return [id, [...target].map(([topic, partitions]) => `${topic}:${partitions}`).join(' ')] as const
  })
  return Object.fromEntries(texts)
}

function member(id: string, topics: readonly string[], target: Target = new Map()): Assignee {
  return { id, instanceId: null, topicIds: new Set(topics), target }
}

function withTargets(group: Group, targets: Targets): Group {
  return { ...group, members: group.members.map(one => ({ ...one, target: targets.get(one.id) ?? new Map() })) }
}

const sizeOf = (target: Target): number => [...target.values()].reduce((sum, partitions) => sum + partitions.length, 0)

function held(targets: Targets): Map<string, string> {
  const owners = new Map<string, string>()
  for (const [id, target] of targets) {
    for (const [topic, partitions] of target)
      for (const partition of partitions) owners.set(`${topic}-${partition}`, id)
  }
  return owners
}

const targetsOf = ({ members }: Group): Targets =>
  new Map(members.map(({ id, target }) => [id, new Map([...target].map(([topic, all]) => [topic, [...all]]))]))

// ---- random groups

const sizes = fc.tuple(...TOPICS.map(() => fc.integer({ min: 0, max: 12 })))
const stale: fc.Arbitrary<Target> = fc
  .uniqueArray(fc.constantFrom(...TOPICS, 'gone'), { maxLength: 3 })
  .chain(topics =>
    fc
      .tuple(...topics.map(() => fc.uniqueArray(fc.integer({ min: 0, max: 14 }), { maxLength: 6 })))
      .map(all => new Map(topics.map((topic, i) => [topic, (all[i] ?? []).sort((a, b) => a - b)]))),
  )
const wanting = (topics: fc.Arbitrary<string[]>): fc.Arbitrary<Group> =>
  fc
    .tuple(sizes, fc.array(fc.tuple(topics, stale, fc.boolean()), { minLength: 1, maxLength: 8 }))
    .map(([counts, all]) => {
      const members = all.map(([wanted, target, isStatic], i) => ({
        ...member(`m${i}`, wanted, target),
        instanceId: isStatic ? `i${9 - i}` : null,
      }))
      const used = new Set(members.flatMap(({ topicIds }) => [...topicIds]))
      return { members, counts: new Map(TOPICS.flatMap((topic, i) => (used.has(topic) ? [[topic, counts[i]!]] : []))) }
    })
const anyTopics = fc.uniqueArray(fc.constantFrom(...TOPICS), { maxLength: 4 })
const groups = fc.oneof(wanting(anyTopics), wanting(fc.constant(['t', 'u', 'v'])))

const RUNS = { numRuns: 500 }

describe.each(assignors)('the assignor $name', ({ assign }) => {
  it('gives each partition of a wanted topic to exactly one member that wants it, and nothing else to anybody', () => {
    fc.assert(
      fc.property(groups, ({ members, counts }) => {
        const targets = assign(members, counts)
        expect([...targets.keys()].sort()).toEqual(members.map(({ id }) => id).sort())
        const given: string[] = []
        for (const { id, topicIds } of members) {
          for (const [topic, partitions] of targets.get(id)!) {
            expect(topicIds.has(topic)).toBe(true)
            expect(partitions).toEqual([...partitions].sort((a, b) => a - b))
            given.push(...partitions.map(partition => `${topic}-${partition}`))
          }
        }
        const all = [...counts].flatMap(([topic, count]) => Array.from({ length: count }, (_, i) => `${topic}-${i}`))
        expect(given.sort()).toEqual(all.sort())
      }),
      RUNS,
    )
  })

  it('changes nothing when nothing has changed', () => {
    fc.assert(
      fc.property(groups, group => {
        const targets = assign(group.members, group.counts)
        expect(shown(assign(withTargets(group, targets).members, group.counts))).toEqual(shown(targets))
      }),
      RUNS,
    )
  })
})

describe('the uniform assignor', () => {
  it('is as even as one move after the other can make it', () => {
    fc.assert(
      fc.property(groups, ({ members, counts }) => {
        const targets = uniform(members, counts)
        for (const [topic] of counts) {
          const subscribers = members.filter(({ topicIds }) => topicIds.has(topic))
          const least = Math.min(...subscribers.map(({ id }) => sizeOf(targets.get(id)!)))
          for (const { id } of subscribers) {
            if (targets.get(id)!.has(topic)) expect(sizeOf(targets.get(id)!)).toBeLessThanOrEqual(least + 1)
          }
        }
      }),
      RUNS,
    )
  })

  it('moves no more than it must when all members want the same', () => {
    fc.assert(
      fc.property(wanting(fc.constant(['t', 'u', 'v'])), first => {
        const settled = withTargets(first, uniform(first.members, first.counts))
        // One goes, one comes.
        const members = [member('new', ['t', 'u', 'v']), ...settled.members.slice(0, -1)]
        const before = held(targetsOf(settled))
        const now = held(uniform(members, settled.counts))
        const total = [...settled.counts.values()].reduce((sum, count) => sum + count, 0)
        const sizesBefore = members.map(({ target }) => sizeOf(target)).sort((a, b) => b - a)
        const quotas = sizesBefore.map(
          (_, i) => Math.floor(total / members.length) + (i < total % members.length ? 1 : 0),
        )
        const mayStay = sizesBefore.reduce((sum, size, i) => sum + Math.min(size, quotas[i]!), 0)
        const stayed = [...now].filter(([partition, id]) => before.get(partition) === id).length
        expect(stayed).toBe(mayStay)
      }),
      RUNS,
    )
  })

  it('spreads the partitions of each topic, and keeps what it can', () => {
    const counts = new Map([
      ['t', 4],
      ['u', 3],
    ])
    const members = [member('a', ['t', 'u']), member('b', ['t', 'u'])]
    const two = uniform(members, counts)
    expect(shown(two)).toEqual({ a: 't:0,2 u:0,2', b: 't:1,3 u:1' })
    const three = uniform([...withTargets({ members, counts }, two).members, member('c', ['t', 'u'])], counts)
    expect(shown(three)).toEqual({ a: 't:0,2 u:0', b: 't:1,3', c: 'u:1,2' })
  })

  it('gives what only some want to them, and makes up for it', () => {
    const members = [member('a', ['t', 'u']), member('b', ['t'])]
    const counts = new Map([
      ['t', 4],
      ['u', 2],
    ])
    expect(shown(uniform(members, counts))).toEqual({ a: 't:2 u:0,1', b: 't:0,1,3' })
  })

  it('is done with ten thousand partitions and a thousand members in no time', () => {
    const topics = Array.from({ length: 100 }, (_, i) => `t${i}`)
    const members = Array.from({ length: 1000 }, (_, i) => member(`m${i}`, topics.slice(i % 10, 90 + (i % 10))))
    const counts = new Map(topics.map(topic => [topic, 100]))
    const beganMs = performance.now()
    const targets = uniform(members, counts)
    expect(Math.max(...[...targets.values()].map(sizeOf))).toBeLessThanOrEqual(11)
    expect(performance.now() - beganMs).toBeLessThan(5_000)
  })

  it('moves a hundred thousand partitions from one who had all of them', () => {
    const counts = new Map([
      ['t', 150_000],
      ['u', 150_000],
    ])
    const all = new Map([...counts].map(([topic, count]) => [topic, Array.from({ length: count }, (_, i) => i)]))
    const members = [{ ...member('a', ['t', 'u']), target: all }, member('b', ['u'])]
    const beganMs = performance.now()
    expect([...uniform(members, counts).values()].map(sizeOf)).toEqual([150_000, 150_000])
    expect(performance.now() - beganMs).toBeLessThan(5_000)
  })
})

describe('the range assignor', () => {
  it('gives runs of each topic, and the same ones of topics of the same size', () => {
    fc.assert(
      fc.property(wanting(fc.constant(['t', 'u'])), fc.integer({ min: 0, max: 20 }), ({ members }, count) => {
        const counts = new Map([
          ['t', count],
          ['u', count],
        ])
        for (const target of range(members, counts).values()) {
          const run = target.get('t') ?? []
          expect(target.get('u') ?? []).toEqual(run)
          expect(run.every((partition, i) => partition === run[0]! + i)).toBe(true)
          expect([Math.floor(count / members.length), Math.ceil(count / members.length)]).toContain(run.length)
        }
      }),
      RUNS,
    )
  })

  it('puts static members first, by their instance ids, whatever their member ids are', () => {
    const statics = [
      { ...member('z', ['t']), instanceId: 'one' },
      { ...member('y', ['t']), instanceId: 'two' },
    ]
    const targets = range([member('a', ['t']), ...statics], new Map([['t', 5]]))
    expect(shown(targets)).toEqual({ a: 't:4', z: 't:0,1', y: 't:2,3' })
  })
})
