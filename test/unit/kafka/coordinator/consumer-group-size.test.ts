import { describe, expect, it } from 'vitest'
import { descriptionBytes } from '#core/consumer-groups.ts'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import { subscriptionOf } from '#test/support/group-script-text.ts'

/** The least that there may be. */
const MAX_BYTES = 65_536
const NAME_LENGTH = 200
const ALL = { rebalanceTimeoutMs: 60_000, topicPartitions: [] }

function names(bytes: number): string[] {
  return Array.from({ length: bytes / NAME_LENGTH }, (_, i) => `t${i}-`.padEnd(NAME_LENGTH, 'x'))
}

class Members {
  fixture: BrokerFixture
  readonly #epochs = new Map<string, number>()

  constructor(fixture: BrokerFixture) {
    this.fixture = fixture
  }

  /** Everything about itself, or nothing new; the error, if there is one. */
  async beat(memberId: string, subscribedTopicNames: string[] | null = null, instanceId: string | null = null) {
    const memberEpoch = this.#epochs.get(memberId) ?? 0
    const about = subscribedTopicNames === null ? {} : { ...ALL, subscribedTopicNames }
    const answer = await this.fixture.ask('ConsumerGroupHeartbeat', 1, {
      ...{ groupId: 'g', memberId, memberEpoch, instanceId, ...about },
    })
    if (answer.errorCode === 0) this.#epochs.set(memberId, answer.memberEpoch)
    return errorName(answer.errorCode)
  }

  async leave(memberId: string, instanceId: string | null = null): Promise<void> {
    const memberEpoch = instanceId === null ? -1 : -2
    await this.fixture.ask('ConsumerGroupHeartbeat', 1, { groupId: 'g', memberId, memberEpoch, instanceId })
    this.#epochs.delete(memberId)
  }

  async joinAsClassic(bytes: number) {
    const metadata = subscriptionOf(names(bytes), new Map())
    const answer = await this.fixture.ask('JoinGroup', 3, {
      ...{ groupId: 'g', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 60_000, memberId: '', groupInstanceId: null },
      ...{ protocolType: 'consumer', protocols: [{ name: 'range', metadata }] },
    })
    return errorName(answer.errorCode)
  }

  get ids(): string[] {
    return [...this.fixture.state.groups.get('g')!.consumer!.members.keys()]
  }
}

async function group(): Promise<Members> {
  return new Members(await BrokerFixture.start({ groupMaxBytes: MAX_BYTES, groupConsumerAssignmentIntervalMs: 0 }))
}

describe('what members of a consumer group say of themselves', () => {
  it('is as much as the others leave them, of whatever protocol they are', async () => {
    const members = await group()
    expect(await members.beat('a', names(40_000))).toBe('NONE')
    expect(await members.beat('b', names(40_000))).toBe('GROUP_MAX_SIZE_REACHED')
    expect(await members.joinAsClassic(40_000)).toBe('GROUP_MAX_SIZE_REACHED')
    expect(members.ids).toEqual(['a'])
    expect(await members.joinAsClassic(20_000)).toBe('NONE')
    expect(await members.beat('b', names(20_000))).toBe('GROUP_MAX_SIZE_REACHED')
    await members.leave('a')
    expect(await members.beat('b', names(40_000))).toBe('NONE')
  })

  it('is counted after a restart, too', async () => {
    const members = await group()
    await members.beat('a', names(40_000))
    members.fixture = await members.fixture.kill()
    expect(await members.beat('b', names(40_000))).toBe('GROUP_MAX_SIZE_REACHED')
    expect(await members.beat('b', names(20_000))).toBe('NONE')
  })

  it('does not cost a member its place when it wants to say more than it may', async () => {
    const members = await group()
    await members.beat('a', names(40_000))
    await members.beat('b', names(20_000))
    expect(await members.beat('b', names(30_000))).toBe('GROUP_MAX_SIZE_REACHED')
    expect(await members.beat('b')).toBe('NONE')
    expect(await members.beat('b', names(20_000))).toBe('NONE')
    expect(await members.beat('a', names(30_000))).toBe('NONE')
    expect(await members.beat('b', names(30_000))).toBe('NONE')
  })

  it('counts once when a static member comes back under another id', async () => {
    const members = await group()
    await members.beat('a', names(40_000), 'i')
    await members.leave('a', 'i')
    expect(await members.beat('b', names(40_000), 'i')).toBe('NONE')
    expect(members.ids).toEqual(['b'])
    expect(await members.beat('c', names(20_000))).toBe('NONE')
  })

  it('may be less, and no more, where there is less room than there was', async () => {
    const roomy = await BrokerFixture.start({ groupMaxBytes: 2 * MAX_BYTES, groupConsumerAssignmentIntervalMs: 0 })
    const members = new Members(roomy)
    await members.beat('a', names(60_000))
    await members.beat('b', names(60_000))
    members.fixture = await roomy.kill({ groupMaxBytes: MAX_BYTES })
    expect(await members.beat('a', names(60_200))).toBe('GROUP_MAX_SIZE_REACHED')
    expect(await members.beat('a', names(50_000))).toBe('NONE')
    expect(await members.beat('a')).toBe('NONE')
  })

  it('is counted in a copy as in the group', async () => {
    const members = await group()
    await members.beat('a', names(40_000))
    const known = members.fixture.state.groups.get('g')!.consumer!
    const a = known.members.get('a')!
    expect(known.bytesWith({ ...a, id: 'b' }, undefined)).toBe(2 * descriptionBytes(a))
    expect(known.copy().bytesWith({ ...a, id: 'b' }, undefined)).toBe(2 * descriptionBytes(a))
  })

  it('is counted before a classic group becomes one of the consumer type: it stays what it is', async () => {
    const members = await group()
    expect(await members.joinAsClassic(40_000)).toBe('NONE')
    expect(await members.beat('a', names(40_000))).toBe('GROUP_MAX_SIZE_REACHED')
    expect(members.fixture.broker.groups.describe('g')?.members).toHaveLength(1)
    expect(await members.beat('a', names(20_000))).toBe('NONE')
    expect(members.ids).toHaveLength(2)
  })
})
