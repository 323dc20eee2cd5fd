import { describe, expect, it } from 'vitest'
import { descriptionBytes } from '#core/consumer-groups.ts'
import { State, Topic } from '#core/state.ts'
import { ClassicGroup, type Member } from '#kafka/coordinator/classic-group.ts'
import { fenceMembers } from '#kafka/coordinator/consumer-members.ts'
import { mayDowngrade, upgradeFrom } from '#kafka/coordinator/consumer-migration.ts'
import { readAssigned, readSubscription, writeAssigned } from '#kafka/coordinator/consumer-protocol.ts'
import {
  type ConsumerLimits,
  ConsumerStep,
  ConsumerTimers,
  type MigrationPolicy,
} from '#kafka/coordinator/consumer-step.ts'
import { TopicView } from '#kafka/coordinator/topic-view.ts'
import { shown, subscriptionOf } from '#test/support/group-script-text.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'

const LIMITS: ConsumerLimits = {
  maxMembers: 3,
  maxBytes: 1_000,
  sessionTimeoutMs: 45_000,
  heartbeatIntervalMs: 5_000,
  assignmentIntervalMs: 0,
  migrationPolicy: 'bidirectional',
  maxClassicMembers: 2,
}

function stateWith(topics: Record<string, number>): State {
  const state = new State()
  for (const [name, partitions] of Object.entries(topics)) {
    const topic = new Topic(`id-${name}`, name, new Map(), new Map())
    topic.partitions.length = partitions
    state.topics.set(name, topic)
    state.topicsById.set(topic.id, topic)
  }
  return state
}

function stepWith(limits: Partial<ConsumerLimits> = {}, topics: Record<string, number> = { t: 4 }): ConsumerStep {
  return new ConsumerStep({
    groupId: 'g',
    group: null,
    timers: new ConsumerTimers(),
    topics: new TopicView(stateWith(topics), new SimClock(), { warn() {} }),
    nowMs: 1_000,
    limits: { ...LIMITS, ...limits },
  })
}

const wants = (...topics: string[]): Buffer => subscriptionOf(topics, new Map())
const has = (partitions: Record<string, number[]>): Buffer => writeAssigned(3, new Map(Object.entries(partitions)))

function classicGroup(members: Record<string, { metadata?: Buffer; assignment?: Buffer }>, type = 'consumer') {
  const group = new ClassicGroup('g')
  Object.assign(group, { phase: 'Stable', generation: 7, protocolType: type, protocol: 'range' })
  for (const [id, { metadata = wants('t'), assignment = has({}) }] of Object.entries(members)) {
    const member: Member = {
      ...{
        id,
        instanceId: null,
        clientId: 'c',
        clientHost: '/h',
        sessionTimeoutMs: 10_000,
        rebalanceTimeoutMs: 60_000,
      },
      protocols: [
        { name: 'sticky', metadata: Buffer.of() },
        { name: 'range', metadata },
      ],
      ...{ assignment, joinToken: null, syncToken: null, isNew: false, expiresMs: 0 },
    }
    group.add(member)
  }
  return group
}

describe('a classic group', () => {
  it('becomes a consumer group with the same members, epochs and partitions', () => {
    const step = stepWith()
    const members = { a: { assignment: has({ t: [0, 1] }) }, b: { assignment: has({ t: [3] }) } }
    expect(upgradeFrom(classicGroup(members), step)).toBeNull()
    const [a, b] = [step.member('a'), step.member('b')]
    expect(step.group).toMatchObject({ epoch: 7, targetEpoch: 7 })
    expect(a).toMatchObject({ epoch: 7, previousEpoch: 7, state: 'stable', topicNames: ['t'], topicRegex: '' })
    expect([...a.target]).toEqual([['id-t', [0, 1]]])
    expect([...b.assigned.get('id-t')!]).toEqual([[3, 7]])
    expect(a.classic).toMatchObject({ sessionTimeoutMs: 10_000, protocols: [{ name: 'sticky' }, { name: 'range' }] })
    expect(step.timers.of('a').sessionMs).toBe(11_000)
  })

  it('leaves behind partitions that are not there, and those that its leader gave to two', () => {
    const step = stepWith()
    const members = { a: { assignment: has({ t: [0, 4], gone: [0] }) }, b: { assignment: has({ t: [0, 1] }) } }
    expect(upgradeFrom(classicGroup(members), step)).toBeNull()
    expect([...step.member('a').target]).toEqual([['id-t', [0]]])
    expect([...step.member('b').target]).toEqual([['id-t', [1]]])
  })

  const withUserData = Buffer.concat([has({ t: [0] }).subarray(0, -4), Buffer.from('0000000178', 'hex')])
  it.each<[string, ClassicGroup, Partial<ConsumerLimits>, string]>([
    ['when it is forbidden', classicGroup({ a: {} }), { migrationPolicy: 'downgrade' }, 'disabled'],
    ['when it is forbidden altogether', classicGroup({ a: {} }), { migrationPolicy: 'disabled' }, 'disabled'],
    ['when its members are no consumers', classicGroup({ a: {} }, 'connect'), {}, 'embedded protocol'],
    ['when it is too large', classicGroup({ a: {}, b: {}, c: {} }), { maxMembers: 2 }, 'maximum size'],
    ['when a subscription cannot be read', classicGroup({ a: { metadata: Buffer.of(0) } }), {}, 'malformed'],
    ['when an assignment cannot be read', classicGroup({ a: { assignment: Buffer.of(0, 1, 9) } }), {}, 'malformed'],
    ['when an assignor has data of its own', classicGroup({ a: { assignment: withUserData } }), {}, 'custom assignor'],
  ])('stays what it is %s', (_when, group, limits, why) => {
    const step = stepWith(limits)
    const refused = upgradeFrom(group, step)
    expect(refused).toMatchObject({ error: 'GROUP_ID_NOT_FOUND', message: expect.stringContaining(why) })
    expect(step.changes).toEqual([])
  })
})

describe('a consumer group', () => {
  function upgraded(): ConsumerStep {
    const step = stepWith()
    const members = { a: { assignment: has({ t: [0, 1] }) }, b: { assignment: has({ t: [2] }) }, c: {} }
    upgradeFrom(classicGroup(members), step)
    // It has changed to the new protocol.
    step.change({ kind: 'member', member: { ...step.member('c'), classic: null } })
    return step
  }

  it('becomes a classic group of the members that are left, with what they still have, whatever they are to have', () => {
    const step = upgraded()
    step.change({ kind: 'target', memberId: 'a', target: new Map() })
    const progress = { epoch: 7, previousEpoch: 7, state: 'unrevoked' } as const
    const [assigned, revoking] = [1, 0].map(partition => new Map([['id-t', new Map([[partition, 7]])]]))
    step.change({
      kind: 'progress',
      memberId: 'a',
      progress: { ...progress, assigned: assigned!, revoking: revoking! },
    })
    fenceMembers(step, [step.member('c')])
    const { group, rebalances } = step.downgrade!
    expect(rebalances).toBe(true)
    expect(group).toMatchObject({ phase: 'Stable', generation: 7, protocolType: 'consumer', leaderId: null })
    expect(group.protocol).toMatch(/sticky|range/)
    const saved = [...group.members.values()].map(({ assignment }) => shown(readAssigned(assignment)!.partitions))
    expect(saved).toEqual(['t:0,1', 't:2'])
  })

  it.each<[MigrationPolicy, number, boolean]>([
    ['bidirectional', 2, true],
    ['downgrade', 2, true],
    ['upgrade', 2, false],
    ['disabled', 2, false],
    ['bidirectional', 1, false],
  ])('may become one under the policy %s with room for %i: %s', (migrationPolicy, maxClassicMembers, may) => {
    const step = upgraded()
    const limits = { ...LIMITS, migrationPolicy, maxClassicMembers }
    expect(mayDowngrade({ limits }, [step.member('a'), step.member('b')])).toBe(may)
  })

  it('stays one if its members say more of themselves than those of a classic group may', () => {
    const step = upgraded()
    const left = [step.member('a'), step.member('b')]
    const bytes = left.reduce((sum, member) => sum + descriptionBytes(member), 0)
    expect(mayDowngrade({ limits: { ...LIMITS, maxBytes: bytes } }, left)).toBe(true)
    expect(mayDowngrade({ limits: { ...LIMITS, maxBytes: bytes - 1 } }, left)).toBe(false)
  })

  it('does not while one of its members speaks the new protocol, or when nobody is left', () => {
    const step = upgraded()
    const limits = { ...LIMITS, maxClassicMembers: 9 }
    expect(mayDowngrade({ limits }, [...step.group.members.values()])).toBe(false)
    expect(mayDowngrade({ limits }, [])).toBe(false)
  })
})

describe('what members of the classic protocol say', () => {
  const v0 = Buffer.from('0000000000010001740000000178', 'hex')

  it('is read in every version', () => {
    expect(readSubscription(v0)).toMatchObject({ version: 0, topics: ['t'], rackId: null })
    const owned = subscriptionOf(['t', 'u'], new Map([['t', [1, 2]]]))
    expect(readSubscription(owned)).toMatchObject({ version: 3, topics: ['t', 'u'], rackId: null })
    expect([...readSubscription(owned)!.owned]).toEqual([['t', [1, 2]]])
    const later = Buffer.from(owned)
    later.writeInt16BE(9, 0)
    expect(readSubscription(later)).toMatchObject({ version: 3, topics: ['t', 'u'] })
  })

  it.each([
    Buffer.of(),
    Buffer.from('ffff00000000ffffffff', 'hex'),
    Buffer.from('00007fffffff', 'hex'),
    subscriptionOf(['t'], new Map()).subarray(0, 12),
  ])('is nothing if it is no such message: %j', bytes => {
    expect(readSubscription(bytes)).toBeNull()
  })

  it('is told in the version that a member has', () => {
    const bytes = writeAssigned(1, new Map([['t', [0, 5]]]))
    expect(bytes.readInt16BE(0)).toBe(1)
    expect(shown(readAssigned(bytes)!.partitions)).toBe('t:0,5')
    expect(readAssigned(Buffer.of())).toMatchObject({ hasUserData: false })
    expect(readAssigned(bytes.subarray(0, 9))).toBeNull()
  })
})
