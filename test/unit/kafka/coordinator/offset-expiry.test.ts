import { describe, expect, it } from 'vitest'
import { Group } from '#core/groups.ts'
import type { Phase } from '#kafka/coordinator/classic-group.ts'
import { expiredOffsets } from '#kafka/coordinator/offset-expiry.ts'

const RETENTION_MS = 1000

/** Topic `read` is subscribed to, `left` is not; partition 0 was committed at 0, partition 1 at 500. */
function expired(described: { phase: Phase; protocolType: string | null }, nowMs: number, savedMs = 0, expiresMs = -1) {
  const group = new Group('g')
  group.savedMs = savedMs
  for (const topic of ['read', 'left']) {
    for (const partition of [0, 1]) {
      const committedMs = 500 * partition
      const committed = { offset: 1, leaderEpoch: -1, metadata: '', committedMs, expiresMs, order: 0 }
      group.offsets.commit(topic, partition, committed)
    }
  }
  const time = { nowMs, retentionMs: RETENTION_MS }
  const { topics, removesGroup } = expiredOffsets(group, described, topicId => topicId === 'read', time)
  return { topics: topics.map(({ topicId, partitions }) => `${topicId}:${partitions}`), removesGroup }
}

const NOTHING = { topics: [], removesGroup: false }

describe('committed offsets expire', () => {
  it('each for itself, where nobody manages the group', () => {
    const described = { phase: 'Empty', protocolType: null } as const
    expect(expired(described, 999)).toEqual(NOTHING)
    expect(expired(described, 1000)).toEqual({ topics: ['read:0', 'left:0'], removesGroup: false })
    expect(expired(described, 1500)).toEqual({ topics: ['read:0,1', 'left:0,1'], removesGroup: true })
  })

  it('from the time on when the last member left, or later', () => {
    const described = { phase: 'Empty', protocolType: 'consumer' } as const
    expect(expired(described, 1599, 600)).toEqual(NOTHING)
    expect(expired(described, 1600, 600)).toEqual({ topics: ['read:0,1', 'left:0,1'], removesGroup: true })
    expect(expired(described, 1400, 200)).toEqual({ topics: ['read:0', 'left:0'], removesGroup: false })
  })

  it('in topics that no member of a group of consumers is subscribed to', () => {
    const described = { phase: 'Stable', protocolType: 'consumer' } as const
    expect(expired(described, 9999)).toEqual({ topics: ['left:0,1'], removesGroup: false })
  })

  it('never while members of another type are there, who know alone what they want', () => {
    expect(expired({ phase: 'Stable', protocolType: 'connect' }, 9999)).toEqual(NOTHING)
  })

  it('never in a rebalance', () => {
    for (const phase of ['PreparingRebalance', 'CompletingRebalance'] as const) {
      expect(expired({ phase, protocolType: 'consumer' }, 9999)).toEqual(NOTHING)
    }
  })

  it('when the commit has said, whatever the retention is', () => {
    const described = { phase: 'Empty', protocolType: null } as const
    expect(expired(described, 4999, 0, 5000)).toEqual(NOTHING)
    expect(expired(described, 5000, 0, 5000)).toMatchObject({ removesGroup: true })
  })
})
