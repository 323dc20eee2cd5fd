// What the members of one group say to a broker: a name stands for a member, which knows what it was told last.

import { assignmentOf, namedFrom, subscriptionOf } from '#test/support/group-script-text.ts'
import { until } from '#test/support/until.ts'
import type { RequestBody, ResponseBody } from '#test/support/wire-messages.ts'
import type { Conversation } from './conversation.ts'

const GROUP = 32
const SET = 0
/** The coordinator is being looked for, or is reading its log. */
const NOT_YET = [14, 15, 16]

type Heartbeat = Partial<RequestBody<'ConsumerGroupHeartbeat'>>
type Partitions = ResponseBody<'ConsumerGroupHeartbeat'>['assignment']

interface Member {
  id: string
  epoch: number
  told: NonNullable<Partitions>['topicPartitions']
}

interface Wants {
  readonly topics?: readonly string[]
  readonly regex?: string
  readonly assignor?: string
  readonly instance?: string
  readonly epoch?: number
  /** told: all that it was told last. */
  readonly owned?: 'told' | readonly [] | null
}

interface ClassicWants {
  readonly topics?: readonly string[]
  readonly owned?: readonly number[]
  readonly protocolType?: string
  readonly protocol?: string
  readonly leads?: Readonly<Record<string, readonly number[]>>
}

/** A group of its own, whose targets are computed at once, and the topics it needs. */
export async function withGroup<T>(
  broker: Conversation,
  { topics }: { topics: Readonly<Record<string, number>> },
  talk: (group: GroupTalk) => Promise<T>,
): Promise<T> {
  const names = new Map<string, string>()
  for (const [name, partitions] of Object.entries(topics)) names.set(name, await broker.topic(name, { partitions }))
  const group = new GroupTalk(broker, broker.topicName('group'), names)
  await group.open()
  return talk(group)
}

export class GroupTalk {
  readonly #broker: Conversation
  readonly #id: string
  readonly #topics: ReadonlyMap<string, string>
  readonly #members = new Map<string, Member>()

  constructor(broker: Conversation, id: string, topics: ReadonlyMap<string, string>) {
    this.#broker = broker
    this.#id = id
    this.#topics = topics
  }

  /** Matches the rest of the names of this conversation's topics. */
  get suffixPattern(): string {
    return `-[0-9]+${this.#broker.identity.topicSuffix}`
  }

  async open(): Promise<void> {
    await this.#broker.sendUntil(
      'FindCoordinator',
      4,
      { keyType: 0, coordinatorKeys: [this.#id] },
      ({ coordinators }) => coordinators[0]!.errorCode === 0,
    )
    const asks = { groupId: this.#id, memberId: 'm', memberEpoch: 7 }
    await this.#broker.sendUntil('ConsumerGroupHeartbeat', 1, asks, answer => !NOT_YET.includes(answer.errorCode))
    await this.alter({ 'consumer.assignment.interval.ms': '0' })
    const resources = [{ resourceType: GROUP, resourceName: this.#id, configurationKeys: null }]
    await this.#broker.sendUntil('DescribeConfigs', 4, { resources }, ({ results }) =>
      results[0]!.configs.some(({ name, value }) => name === 'consumer.assignment.interval.ms' && value === '0'),
    )
  }

  // ---- the consumer protocol

  heartbeat(body: Heartbeat, version = 1): Promise<ResponseBody<'ConsumerGroupHeartbeat'>> {
    const names = body.subscribedTopicNames?.map(name => this.#topic(name ?? '')) ?? null
    const request = { groupId: this.#id, ...body, subscribedTopicNames: names }
    return this.#broker.send('ConsumerGroupHeartbeat', version, request)
  }

  join(name: string, wants: Wants): Promise<unknown> {
    return this.#beat(name, { ...wants, epoch: 0, owned: [] }, { rebalanceTimeoutMs: 60_000 })
  }

  beat(name: string, wants: Wants = {}): Promise<unknown> {
    return this.#beat(name, wants, {})
  }

  /** Kafka looks for the topics of an expression a moment later. */
  async beatUntilAssigned(name: string): Promise<void> {
    await until('an assignment', async () => {
      const { errorCode } = await this.#beat(name, { owned: 'told' }, {})
      return this.#member(name).told.length > 0 || errorCode !== 0
    })
  }

  async #beat(name: string, wants: Wants, more: Heartbeat): Promise<ResponseBody<'ConsumerGroupHeartbeat'>> {
    const member = this.#member(name)
    const { owned = null } = wants
    const topicPartitions = owned === 'told' ? member.told : owned
    const answer = await this.heartbeat({
      memberId: member.id,
      memberEpoch: wants.epoch ?? member.epoch,
      instanceId: wants.instance ?? null,
      subscribedTopicNames: wants.topics ?? null,
      subscribedTopicRegex: wants.regex ?? null,
      serverAssignor: wants.assignor ?? null,
      topicPartitions,
      ...more,
    })
    if (answer.errorCode === 0) member.epoch = answer.memberEpoch
    if (answer.assignment !== null) member.told = answer.assignment.topicPartitions
    return answer
  }

  // ---- the classic protocol

  async classicJoin(name: string, wants: ClassicWants = {}): Promise<unknown> {
    const member = this.#member(name, '')
    const topics = (wants.topics ?? []).map(topic => this.#topic(topic))
    const owned = new Map(topics.map(topic => [topic, wants.owned ?? []]))
    const answer = await this.#broker.send('JoinGroup', 9, {
      groupId: this.#id,
      sessionTimeoutMs: 30_000,
      rebalanceTimeoutMs: 60_000,
      memberId: member.id,
      groupInstanceId: null,
      protocolType: wants.protocolType ?? 'consumer',
      protocols: [{ name: 'range', metadata: subscriptionOf(topics, owned) }],
    })
    const [MEMBER_ID_REQUIRED, NONE] = [79, 0]
    if (answer.errorCode === NONE || answer.errorCode === MEMBER_ID_REQUIRED) member.id = answer.memberId
    if (answer.errorCode === NONE) member.epoch = answer.generationId
    const { memberId: _, leader: __, members, ...rest } = answer
    return { ...rest, members: members.length }
  }

  async classicSync(name: string, wants: ClassicWants = {}): Promise<unknown> {
    const { id, epoch } = this.#member(name)
    const [topic = ''] = this.#topics.values()
    const { assignment, ...rest } = await this.#broker.send('SyncGroup', 5, {
      groupId: this.#id,
      generationId: epoch,
      memberId: id,
      groupInstanceId: null,
      protocolType: wants.protocolType ?? 'consumer',
      protocolName: wants.protocol ?? 'range',
      assignments: Object.entries(wants.leads ?? {}).map(([to, partitions]) => ({
        memberId: this.#member(to).id,
        assignment: assignmentOf(new Map([[topic, partitions]])),
      })),
    })
    return { ...rest, has: [...namedFrom(Buffer.from(assignment))].map(([, partitions]) => [...partitions].sort()) }
  }

  classicHeartbeat(name: string, generation = this.#member(name).epoch): Promise<unknown> {
    const memberId = this.#member(name).id
    return this.#broker.send('Heartbeat', 4, { ...this.#caller(memberId), generationId: generation })
  }

  async classicLeave(name: string): Promise<unknown> {
    const members = [{ memberId: this.#member(name).id, groupInstanceId: null }]
    const answer = await this.#broker.send('LeaveGroup', 5, { groupId: this.#id, members })
    return { errorCode: answer.errorCode, members: answer.members.map(({ errorCode }) => ({ errorCode })) }
  }

  #caller(memberId: string) {
    return { groupId: this.#id, memberId, groupInstanceId: null }
  }

  // ---- offsets

  commit(memberId: string, epoch: number, { partition, version }: { partition: number; version: number }) {
    const [name = ''] = this.#topics.values()
    const partitions = [{ partitionIndex: partition, committedOffset: 5, committedMetadata: '' }]
    const topics = [{ name, partitions }]
    return this.#broker.send('OffsetCommit', version, {
      ...this.#caller(memberId),
      generationIdOrMemberEpoch: epoch,
      topics,
    })
  }

  async fetchOffsets(memberId: string | null, memberEpoch: number): Promise<unknown> {
    const groups = [{ groupId: this.#id, memberId, memberEpoch, topics: null }]
    const answer = await this.#broker.send('OffsetFetch', 9, { groups, requireStable: false })
    return answer.groups.map(({ errorCode, topics }) => ({
      errorCode,
      offsets: topics.flatMap(({ partitions }) => partitions.map(({ partitionIndex }) => partitionIndex)).sort(),
    }))
  }

  deleteOffsets(topic: string): Promise<unknown> {
    const topics = [{ name: this.#topic(topic), partitions: [{ partitionIndex: 0 }] }]
    return this.#broker.send('OffsetDelete', 0, { groupId: this.#id, topics })
  }

  // ---- administration

  async describe(): Promise<unknown> {
    const { groups } = await this.#broker.send('ConsumerGroupDescribe', 1, { groupIds: [this.#id] })
    return groups.map(({ members, ...group }) => ({
      ...group,
      members: members
        .map(({ clientHost: _, ...member }) => ({
          ...member,
          memberId: this.#nameOf(member.memberId),
          subscribedTopicNames: [...member.subscribedTopicNames].sort(),
          assignment: byTopic(member.assignment),
          targetAssignment: byTopic(member.targetAssignment),
        }))
        .sort((a, b) => (a.memberId < b.memberId ? -1 : 1)),
    }))
  }

  async describeClassic(version: number): Promise<unknown> {
    const { groups } = await this.#broker.send('DescribeGroups', version, { groups: [this.#id] })
    return groups.map(({ members, ...group }) => ({ ...group, members: members.length }))
  }

  async list(typesFilter: string[]): Promise<unknown> {
    const { groups } = await this.#broker.send('ListGroups', 5, { typesFilter })
    return groups.filter(({ groupId }) => groupId === this.#id)
  }

  remove(): Promise<unknown> {
    return this.#broker.send('DeleteGroups', 2, { groupsNames: [this.#id] })
  }

  async alter(values: Readonly<Record<string, string>>): Promise<unknown> {
    const configs = Object.entries(values).map(([name, value]) => ({ name, value, configOperation: SET }))
    const resources = [{ resourceType: GROUP, resourceName: this.#id, configs }]
    return this.#broker.send('IncrementalAlterConfigs', 1, { resources, validateOnly: false })
  }

  configs(names: readonly string[]): Promise<unknown> {
    const resources = [{ resourceType: GROUP, resourceName: this.#id, configurationKeys: names }]
    return this.#broker.send('DescribeConfigs', 4, { resources, includeSynonyms: true })
  }

  // ---- names

  #member(name: string, id = name): Member {
    let member = this.#members.get(name)
    if (member === undefined) {
      member = { id, epoch: 0, told: [] }
      this.#members.set(name, member)
    }
    return member
  }

  #nameOf(id: string): string {
    for (const [name, member] of this.#members) if (member.id === id) return name
    return id
  }

  #topic(name: string): string {
    return this.#topics.get(name) ?? `${name}${this.#broker.identity.topicSuffix}`
  }
}

/** Kafka answers in the order of its hash tables. */
function byTopic({ topicPartitions }: { topicPartitions: readonly { topicName: string }[] }) {
  return [...topicPartitions].sort((a, b) => (a.topicName < b.topicName ? -1 : 1))
}
