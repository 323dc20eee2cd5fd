// The members of one group, each on a connection of its own, as clients are. What a member was told is what it says next, unless
// a case has it say something else.

import { until } from '#test/support/until.ts'
import type { WireClient } from '#test/support/wire-client.ts'
import type { ApiName, RequestBody, ResponseBody } from '#test/support/wire-messages.ts'
import type { Conversation } from './conversation.ts'

const NONE = 0
const MEMBER_ID_REQUIRED = 79
const REBALANCE_IN_PROGRESS = 27
const SESSION_TIMEOUT_MS = 10_000
const REBALANCE_TIMEOUT_MS = 20_000
// While the coordinator loads what it knows: 14, 15 and 16.
const NOT_READY = new Set([14, 15, 16])

const LATEST_JOIN = 9
const LATEST_SYNC = 5

export interface MemberOptions {
  readonly instanceId?: string
  readonly protocols?: readonly string[]
  readonly protocolType?: string
  /** What it says of itself for each protocol. */
  readonly metadata?: Buffer
  readonly sessionTimeoutMs?: number
  readonly rebalanceTimeoutMs?: number
}

/** What to say in a request instead of what the member knows. */
type Instead<N extends ApiName> = { readonly version?: number } & Partial<RequestBody<N>>

export class Party {
  readonly groupId: string
  readonly broker: Conversation

  private constructor(broker: Conversation, groupId: string) {
    this.broker = broker
    this.groupId = groupId
  }

  /** A group that nobody has used, whose coordinator is ready. */
  static async open(broker: Conversation): Promise<Party> {
    const groupId = broker.topicName('group')
    await coordinatorOf(broker, groupId)
    return new Party(broker, groupId)
  }

  async member(name: string, options: MemberOptions = {}): Promise<Member> {
    return new Member(this, name, await this.broker.connect(), options)
  }

  /** Members that have joined one after the other and have their assignments: the first one leads. */
  async stable(...members: readonly Member[]): Promise<void> {
    const [leader] = members
    for (let count = 1; count <= members.length; count++) {
      const there = members.slice(0, count)
      const joining = there.at(-1)!.join()
      if (count > 1) await leader!.heartsRebalance()
      await Promise.all([joining, ...there.slice(0, -1).map(member => member.join())])
      await this.synced(...there)
    }
  }

  /** All of a generation fetch what the first one gives them. */
  synced(...members: readonly Member[]) {
    return Promise.all(members.map((member, i) => member.sync(i === 0 ? assignmentsOf(members) : {})))
  }

  /** What an administrator sees of it. */
  async described(version = 5) {
    const { groups } = await this.broker.send('DescribeGroups', version, { groups: [this.groupId] })
    return groups[0]!
  }

  async phase(): Promise<string> {
    return (await this.described()).groupState
  }

  async reaches(phase: string): Promise<void> {
    await until(`the group is ${phase}`, async () => (await this.phase()) === phase)
  }
}

export function assignmentsOf(members: readonly Member[]): Record<string, string> {
  return Object.fromEntries(members.map(({ id, name }) => [id, `for ${name}`]))
}

export async function coordinatorOf(broker: Conversation, groupId: string): Promise<void> {
  await broker.sendUntil('FindCoordinator', 0, { key: groupId }, ({ errorCode }) => errorCode === NONE)
  const isReady = ({ groups }: ResponseBody<'DescribeGroups'>) => !NOT_READY.has(groups[0]!.errorCode)
  await broker.sendUntil('DescribeGroups', 0, { groups: [groupId] }, isReady)
}

export class Member {
  readonly name: string
  readonly wire: WireClient
  readonly #party: Party
  readonly #options: MemberOptions
  id = ''
  generation = -1

  constructor(party: Party, name: string, wire: WireClient, options: MemberOptions) {
    this.#party = party
    this.name = name
    this.wire = wire
    this.#options = options
  }

  /** Joins, once more with the id it is given if it is asked to. */
  async join(instead: Instead<'JoinGroup'> = {}): Promise<ResponseBody<'JoinGroup'>> {
    const answer = await this.joinOnce(instead)
    return answer.errorCode === MEMBER_ID_REQUIRED ? this.joinOnce({ ...instead, memberId: this.id }) : answer
  }

  async joinOnce(instead: Instead<'JoinGroup'> = {}): Promise<ResponseBody<'JoinGroup'>> {
    const {
      protocols = ['range'],
      metadata = Buffer.from(`of ${this.name}`),
      protocolType = 'consumer',
    } = this.#options
    const {
      instanceId,
      sessionTimeoutMs = SESSION_TIMEOUT_MS,
      rebalanceTimeoutMs = REBALANCE_TIMEOUT_MS,
    } = this.#options
    const { version = LATEST_JOIN, ...body } = instead
    const answer = await this.wire.send('JoinGroup', version, {
      groupId: this.#party.groupId,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      memberId: this.id,
      protocolType,
      protocols: protocols.map(name => ({ name, metadata })),
      ...(instanceId === undefined ? {} : { groupInstanceId: instanceId }),
      ...body,
    })
    this.#learn(answer)
    return answer
  }

  #learn({ errorCode, memberId, generationId }: ResponseBody<'JoinGroup'>): void {
    if (errorCode !== NONE && errorCode !== MEMBER_ID_REQUIRED) return
    this.id = memberId
    this.#party.broker.identity.memberNames.set(memberId, this.name)
    if (errorCode === NONE) this.generation = generationId
  }

  /** With assignments, by member id, if it leads. */
  sync(assignments: Record<string, string> = {}, instead: Instead<'SyncGroup'> = {}) {
    const { version = LATEST_SYNC, ...body } = instead
    const { protocolType = 'consumer', protocols = ['range'] } = this.#options
    return this.wire.send('SyncGroup', version, {
      ...this.#self(),
      ...(version < LATEST_SYNC ? {} : { protocolType, protocolName: protocols[0]! }),
      assignments: Object.entries(assignments).map(([memberId, text]) => ({ memberId, assignment: Buffer.from(text) })),
      ...body,
    })
  }

  heartbeat({ version = 4, ...body }: Instead<'Heartbeat'> = {}) {
    return this.wire.send('Heartbeat', version, { ...this.#self(), ...body })
  }

  /** Until it is told that others come or go. */
  async heartsRebalance(): Promise<void> {
    await until(`a rebalance that ${this.name} hears of`, async () => {
      return (await this.heartbeat()).errorCode === REBALANCE_IN_PROGRESS
    })
  }

  leave() {
    const member = { memberId: this.id, groupInstanceId: this.#options.instanceId ?? null }
    return this.wire.send('LeaveGroup', 5, { groupId: this.#party.groupId, members: [member] })
  }

  commit(topic: string, offset: number, { version = 9, ...body }: Instead<'OffsetCommit'> = {}) {
    const { generationId, ...self } = this.#self()
    return this.wire.send('OffsetCommit', version, {
      ...self,
      generationIdOrMemberEpoch: generationId,
      topics: [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset: offset, committedMetadata: '' }] }],
      ...body,
    })
  }

  #self() {
    const { instanceId } = this.#options
    return {
      groupId: this.#party.groupId,
      memberId: this.id,
      generationId: this.generation,
      ...(instanceId === undefined ? {} : { groupInstanceId: instanceId }),
    }
  }
}
