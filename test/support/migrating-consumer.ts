import { readSubscription } from '#kafka/coordinator/consumer-protocol.ts'
import type { GroupCoordinator } from '#kafka/coordinator/group-coordinator.ts'
import type { KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { assignmentOf, namedFrom, subscriptionOf } from './group-script-text.ts'
import type { Prng } from './sim/prng.ts'

// A consumer of all partitions of one topic, as clients are: it sends one request at a time, believes what it is told, and gives
// up what it has when it is told that it is no member any more. It can be started again with the other protocol.

export type Protocol = 'classic' | 'consumer'

export interface Surroundings {
  /** Of the broker as it is now: it may have been killed meanwhile. */
  readonly groups: () => GroupCoordinator
  readonly topic: { readonly name: string; readonly id: string; readonly partitionCount: number }
  readonly prng: Prng
  /** Of classic members: do they hold on to what they have while they join again? */
  readonly isCooperative: boolean
}

const GROUP = 'g'
const SESSION_MS = 30_000
const REBALANCE_MS = 40_000
const LOST_ANSWERS = 0.1
const NOT_NOW: readonly KafkaErrorName[] = ['REBALANCE_IN_PROGRESS', 'COORDINATOR_NOT_AVAILABLE']

export class MigratingConsumer {
  readonly instanceId: string | null
  readonly #around: Surroundings
  readonly #name: string
  protocol: Protocol = 'classic'
  memberId = ''
  owned: readonly number[] = []
  #epoch = 0
  /** Of the classic protocol. */
  #mustJoin = true
  /** Of the consumer protocol: the next heartbeat says everything. */
  #saysAll = true
  /** Answers to who was there before a restart reach nobody. */
  #starts = 0
  #isBusy = false

  constructor(name: string, instanceId: string | null, around: Surroundings) {
    this.#name = name
    this.instanceId = instanceId
    this.#around = around
  }

  /** The next request, unless it waits for an answer. */
  async act(): Promise<void> {
    if (this.#isBusy) return
    const starts = this.#starts
    this.#isBusy = true
    if (this.protocol === 'consumer') await this.#beatAsConsumer()
    else if (this.#mustJoin) await this.#joinAsClassic()
    else await this.#beatAsClassic()
    if (this.#starts === starts) this.#isBusy = false
  }

  /** Answers that were on their way do not come: the broker was killed. */
  loseAnswers(): void {
    this.#starts++
    this.#isBusy = false
    this.#saysAll = true
  }

  startAgain(protocol: Protocol, saysGoodbye: boolean): void {
    if (saysGoodbye && this.memberId !== '') this.#leave()
    this.loseAnswers()
    this.protocol = protocol
    this.#forget()
    // The broker names classic members.
    this.memberId = protocol === 'consumer' ? `${this.#name}-${this.#starts}` : ''
  }

  #leave(): void {
    const { memberId, instanceId } = this
    // Static members go without a word in the classic protocol, and for a while in the other one.
    if (this.protocol === 'consumer') {
      if (this.#epoch > 0) void this.#heartbeat(instanceId === null ? -1 : -2)
    } else if (instanceId === null) void this.#around.groups().leave(GROUP, [{ memberId, instanceId }])
  }

  #forget(): void {
    this.owned = []
    this.#epoch = 0
    this.#mustJoin = true
    if (this.protocol === 'classic') this.memberId = ''
  }

  /** Undefined if it was started again meanwhile. */
  async #answer<T>(asked: T | Promise<T>): Promise<T | undefined> {
    const starts = this.#starts
    const answer = await asked
    return this.#starts === starts ? answer : undefined
  }

  // ---- the consumer protocol

  #heartbeat(memberEpoch: number) {
    const { memberId, instanceId, owned } = this
    const { groups, topic } = this.#around
    const saysAll = memberEpoch === 0 || (this.#saysAll && memberEpoch > 0)
    const nobodySpecial = { rackId: null, clientId: 'c', clientHost: '/h', topicRegex: null, assignor: null }
    const request = {
      ...{ ...nobodySpecial, memberId, memberEpoch, instanceId },
      rebalanceTimeoutMs: saysAll ? REBALANCE_MS : -1,
      topicNames: saysAll ? [topic.name] : null,
      owned: owned.length === 0 ? [] : [{ topicId: topic.id, partitions: owned }],
    }
    return groups().consumerHeartbeat(GROUP, request, 1)
  }

  async #beatAsConsumer(): Promise<void> {
    const isLost = this.#around.prng.chance(LOST_ANSWERS)
    const answer = await this.#answer(this.#heartbeat(this.#epoch))
    if (answer === undefined) return
    this.#saysAll = isLost
    if (isLost || NOT_NOW.includes(answer.error)) return
    if (answer.error !== 'NONE') {
      this.#forget()
      return
    }
    this.#epoch = answer.memberEpoch
    if (answer.assignment !== null) this.owned = [...(answer.assignment.get(this.#around.topic.id)?.keys() ?? [])]
  }

  // ---- the classic protocol

  async #beatAsClassic(): Promise<void> {
    const { memberId, instanceId } = this
    const caller = { memberId, instanceId, generation: this.#epoch }
    const error = await this.#answer(this.#around.groups().heartbeat(GROUP, caller))
    if (error === 'REBALANCE_IN_PROGRESS') this.#mustJoin = true
    else if (error !== undefined && error !== 'NONE') this.#forget()
  }

  async #joinAsClassic(): Promise<void> {
    const { groups, topic, isCooperative } = this.#around
    const { memberId, instanceId } = this
    if (!isCooperative) this.owned = []
    const metadata = subscriptionOf([topic.name], named(topic.name, this.owned))
    const times = { sessionTimeoutMs: SESSION_MS, rebalanceTimeoutMs: REBALANCE_MS }
    const request = {
      ...{ ...times, memberId, instanceId, clientId: 'c', clientHost: '/h', protocolType: 'consumer' },
      ...{ requiresKnownId: true, canSkipAssignment: true, protocols: [{ name: 'p', metadata }] },
    }
    const joined = await this.#answer(groups().join(GROUP, request, () => {}))
    if (joined === undefined || NOT_NOW.includes(joined.error)) return
    if (joined.error === 'MEMBER_ID_REQUIRED') {
      this.memberId = joined.memberId
      return
    }
    if (joined.error !== 'NONE') {
      this.#forget()
      return
    }
    this.memberId = joined.memberId
    this.#epoch = joined.generation
    const leads = joined.leaderId === joined.memberId && !joined.skipAssignment
    await this.#syncAsClassic(leads ? this.#assign(joined.members) : new Map())
  }

  async #syncAsClassic(assignments: Map<string, Buffer>): Promise<void> {
    const { groups, topic, isCooperative } = this.#around
    const { memberId, instanceId } = this
    const caller = { memberId, instanceId, generation: this.#epoch, protocolType: 'consumer', protocol: 'p' }
    const synced = await this.#answer(groups().sync(GROUP, { ...caller, assignments }, () => {}))
    if (synced === undefined || synced.error === 'REBALANCE_IN_PROGRESS') return
    if (synced.error !== 'NONE') {
      this.#forget()
      return
    }
    const before = this.owned
    this.owned = namedFrom(synced.assignment).get(topic.name) ?? []
    // It has given up what it was to give up, and joins again to say so.
    this.#mustJoin = isCooperative && before.some(partition => !this.owned.includes(partition))
  }

  /** By turns; what cooperative members still have and are not to keep waits for the next turn. */
  #assign(members: readonly { readonly memberId: string; readonly metadata: Buffer }[]): Map<string, Buffer> {
    const { topic, isCooperative } = this.#around
    const owners = new Map<number, string>()
    for (const { memberId, metadata } of members) {
      for (const partition of readSubscription(metadata)?.owned.get(topic.name) ?? []) owners.set(partition, memberId)
    }
    const shares = new Map<string, number[]>(members.map(({ memberId }) => [memberId, []]))
    for (let partition = 0; partition < topic.partitionCount; partition++) {
      const { memberId } = members[partition % members.length]!
      const isFree = !isCooperative || (owners.get(partition) ?? memberId) === memberId
      if (isFree) shares.get(memberId)?.push(partition)
    }
    return new Map([...shares].map(([memberId, share]) => [memberId, assignmentOf(named(topic.name, share))]))
  }
}

function named(topic: string, partitions: readonly number[]): Map<string, readonly number[]> {
  return new Map(partitions.length === 0 ? [] : [[topic, partitions]])
}
