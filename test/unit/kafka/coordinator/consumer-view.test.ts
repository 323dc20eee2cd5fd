import { describe, expect, it } from 'vitest'
import { type ClassicSide, ConsumerGroup, type MemberProgress } from '#core/consumer-groups.ts'
import { checkFetch, consumerCommitRule, consumerPhase } from '#kafka/coordinator/consumer-view.ts'

const CLASSIC: ClassicSide = { sessionTimeoutMs: 10_000, protocols: [] }
const V9 = 9

/** Member m at epoch 5 has t-0 since epoch 3, and gives up t-1, which it has had since epoch 2. */
function groupWith(classic: ClassicSide | null = null, progress: Partial<MemberProgress> = {}): ConsumerGroup {
  const group = new ConsumerGroup()
  const client = { clientId: 'c', clientHost: '/h', rebalanceTimeoutMs: 1 }
  const wants = { topicNames: ['t'], topicRegex: '', assignor: null }
  group.apply({ kind: 'member', member: { id: 'm', instanceId: null, rackId: null, ...client, ...wants, classic } })
  const assigned = new Map([['t', new Map([[0, 3]])]])
  const revoking = new Map([['t', new Map([[1, 2]])]])
  const at5 = { epoch: 5, previousEpoch: 4, state: 'unrevoked', assigned, revoking } as const
  group.apply({ kind: 'progress', memberId: 'm', progress: { ...at5, ...progress } })
  return group
}

const caller = (memberId: string, generation: number) => ({ memberId, instanceId: null, generation })

describe('who commits in a consumer group', () => {
  it.each([
    [5, 0, 'NONE'],
    [5, 9, 'NONE'],
    [4, 0, 'NONE'],
    [3, 0, 'NONE'],
    [2, 0, 'STALE_MEMBER_EPOCH'],
    [2, 1, 'NONE'],
    [1, 1, 'STALE_MEMBER_EPOCH'],
    [4, 9, 'STALE_MEMBER_EPOCH'],
    [6, 0, 'STALE_MEMBER_EPOCH'],
  ] as const)('at epoch %i for partition %i hears %s', (epoch, partition, error) => {
    expect(consumerCommitRule(groupWith(), caller('m', epoch), V9)('t', partition)).toBe(error)
    const asClassic = error === 'STALE_MEMBER_EPOCH' ? 'ILLEGAL_GENERATION' : error
    expect(consumerCommitRule(groupWith(CLASSIC), caller('m', epoch), V9)('t', partition)).toBe(asClassic)
  })

  it('needs a version that knows of epochs, unless it speaks the classic protocol or commits in a transaction', () => {
    expect(consumerCommitRule(groupWith(), caller('m', 5), 8)('t', 0)).toBe('UNSUPPORTED_VERSION')
    expect(consumerCommitRule(groupWith(CLASSIC), caller('m', 5), 8)('t', 0)).toBe('NONE')
    expect(consumerCommitRule(groupWith(), caller('m', 5), null)('t', 0)).toBe('NONE')
  })

  it('is a member, unless there is none, or a transaction does not say whose it is', () => {
    expect(consumerCommitRule(groupWith(), caller('x', 5), V9)('t', 0)).toBe('UNKNOWN_MEMBER_ID')
    expect(consumerCommitRule(groupWith(), caller('', -1), V9)('t', 0)).toBe('UNKNOWN_MEMBER_ID')
    expect(consumerCommitRule(groupWith(), caller('', -1), null)('t', 0)).toBe('NONE')
    expect(consumerCommitRule(groupWith(), caller('x', 3), null)('t', 0)).toBe('UNKNOWN_MEMBER_ID')
    expect(consumerCommitRule(new ConsumerGroup(), caller('', -1), V9)('t', 0)).toBe('NONE')
  })
})

describe('who fetches offsets of a consumer group', () => {
  it.each([
    [null, -1, 'NONE'],
    ['m', 5, 'NONE'],
    ['m', 4, 'STALE_MEMBER_EPOCH'],
    ['m', 6, 'STALE_MEMBER_EPOCH'],
    ['x', 5, 'UNKNOWN_MEMBER_ID'],
    [null, 5, 'UNKNOWN_MEMBER_ID'],
    ['', -1, 'UNKNOWN_MEMBER_ID'],
  ] as const)('as %j at epoch %i hears %s', (memberId, epoch, error) => {
    expect(checkFetch(groupWith(), memberId, epoch)).toBe(error)
  })

  it('by the classic protocol hears of its generation', () => {
    expect(checkFetch(groupWith(CLASSIC), 'm', 4)).toBe('ILLEGAL_GENERATION')
  })
})

describe('the state of a consumer group', () => {
  it('is what its members and epochs say', () => {
    expect(consumerPhase(new ConsumerGroup())).toBe('Empty')
    const group = groupWith()
    expect(consumerPhase(group)).toBe('Reconciling')
    group.apply({ kind: 'epoch', epoch: 6, topicsHash: 0 })
    expect(consumerPhase(group)).toBe('Assigning')
    const stable = groupWith(null, { epoch: 1, state: 'stable', revoking: new Map() })
    expect(consumerPhase(stable)).toBe('Stable')
  })

  it('lets no partition have two owners', () => {
    const group = groupWith()
    const member = group.members.get('m')!
    group.apply({ kind: 'member', member: { ...member, id: 'n' } })
    const { epoch, previousEpoch, state, assigned, revoking } = member
    const progress = { epoch, previousEpoch, state, assigned, revoking }
    expect(() => group.apply({ kind: 'progress', memberId: 'n', progress })).toThrow('one owner')
  })
})
