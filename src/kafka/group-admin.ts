import { ChronikError } from '#base/errors.ts'
import type { Topic } from '#core/state.ts'
import type { Broker } from './broker.ts'
import { type AssignedTopic, assignmentIn, CONSUMER_PROTOCOL } from './coordinator/consumer-protocol.ts'
import type { DescribedGroup } from './coordinator/group-coordinator.ts'
import { lagRecords, Walk } from './group-lag.ts'
import { type KafkaErrorName, kafkaErrors } from './protocol/protocol.ts'
import { propose } from './refusal.ts'

// What operators ask of groups (chronik group): which there are, who reads what and how far behind, and away with them.
// group-reset.ts sets their offsets.

export interface GroupSummary {
  readonly group: string
  readonly type: string
  readonly protocolType: string
  readonly state: string
  readonly members: number
  /** Partitions with a committed offset. */
  readonly partitions: number
  readonly lag: number
}

export interface GroupPage {
  readonly groups: readonly GroupSummary[]
  /** Where the next page begins; null if this is the last one. */
  readonly next: number | null
}

export interface MemberDescription {
  readonly member: string
  readonly instance: string | null
  readonly client: string
  readonly host: string
  /** Null: its bytes are none that a consumer would understand. */
  readonly assignment: readonly AssignedTopic[] | null
}

export interface PartitionDescription {
  readonly topic: string
  readonly partition: number
  /** Null, as the lag, where nothing was committed. */
  readonly committed: number | null
  readonly start: number
  readonly end: number
  readonly lag: number | null
  /** Null where nobody reads. */
  readonly member: string | null
  readonly client: string | null
  readonly host: string | null
}

export interface GroupDescription extends Omit<GroupSummary, 'members' | 'partitions'> {
  readonly protocol: string
  /** Number of the broker. */
  readonly coordinator: number
  readonly members: readonly MemberDescription[]
  readonly partitions: readonly PartitionDescription[]
}

const CLASSIC = 'classic'
const GROUPS_OF_A_PAGE = 1000

export async function listGroups(broker: Broker, from: number): Promise<GroupPage> {
  const groups: GroupSummary[] = []
  const walk = new Walk(broker.clock)
  let place = 0
  for (const id of broker.groups.ids()) {
    if (place++ < from) continue
    const found = broker.groups.describe(id)
    if (found === null) continue
    if (groups.length === GROUPS_OF_A_PAGE) return { groups, next: place - 1 }
    const summary = summaryOf(broker, found)
    groups.push(summary)
    if (walk.stepped(1 + summary.members + summary.partitions)) await walk.rest()
  }
  return { groups, next: null }
}

function summaryOf({ log }: Broker, { id, protocolType, phase, members }: DescribedGroup): GroupSummary {
  let [partitions, lag] = [0, 0]
  for (const [topicId, offsets] of log.state.groups.get(id)?.offsets ?? []) {
    const topic = log.state.topicsById.get(topicId)!
    for (const [index, { offset }] of offsets) lag += lagRecords(topic.partitions[index]!, offset)
    partitions += offsets.size
  }
  const type = CLASSIC
  return { group: id, type, protocolType: protocolType ?? '', state: phase, members: members.length, partitions, lag }
}

export function describeGroup(broker: Broker, id: string): GroupDescription {
  const found = requireGroup(broker, id)
  const members = found.members.map(member => ({
    member: member.id,
    instance: member.instanceId,
    client: member.clientId,
    host: member.clientHost,
    assignment: found.protocolType === CONSUMER_PROTOCOL ? assignmentIn(member.assignment) : null,
  }))
  const { members: _, partitions: __, ...summary } = summaryOf(broker, found)
  return {
    ...summary,
    protocol: found.protocol ?? '',
    coordinator: broker.settings.nodeId,
    members,
    partitions: partitionsOf(broker, id, members),
  }
}

function requireGroup(broker: Broker, id: string): DescribedGroup {
  const found = broker.groups.describe(id)
  if (found !== null) return found
  throw new ChronikError('GROUP_NOT_FOUND', 'invalid', `there is no group '${id}': 'chronik group list' has all`)
}

/** Partitions with a committed offset, and those that a member reads without one. */
function partitionsOf(
  { log }: Broker,
  groupId: string,
  members: readonly MemberDescription[],
): readonly PartitionDescription[] {
  const readers = readersOf(members)
  const group = log.state.groups.get(groupId)
  const topics = new Set<Topic | undefined>([...readers.keys()].map(name => log.state.topics.get(name)))
  for (const topicId of group?.offsets.keys() ?? []) topics.add(log.state.topicsById.get(topicId))
  const described: PartitionDescription[] = []
  for (const topic of topics) {
    // A member may be assigned a topic that was deleted meanwhile.
    if (topic === undefined) continue
    const readersOfTopic = readers.get(topic.name)
    for (const partition of topic.partitions) {
      const committed = group?.offsets.get(topic.id)?.get(partition.index)?.offset ?? null
      const reader = readersOfTopic?.get(partition.index)
      if (committed === null && reader === undefined) continue
      described.push({
        topic: topic.name,
        partition: partition.index,
        committed,
        start: partition.logStart,
        end: partition.nextOffset,
        lag: committed === null ? null : lagRecords(partition, committed),
        member: reader?.member ?? null,
        client: reader?.client ?? null,
        host: reader?.host ?? null,
      })
    }
  }
  return described.sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition))
}

/** By topic and partition. */
function readersOf(members: readonly MemberDescription[]): Map<string, Map<number, MemberDescription>> {
  const readers = new Map<string, Map<number, MemberDescription>>()
  for (const member of members) {
    for (const { topic, partitions } of member.assignment ?? []) {
      const ofTopic = readers.get(topic) ?? new Map<number, MemberDescription>()
      readers.set(topic, ofTopic)
      for (const partition of partitions) ofTopic.set(partition, member)
    }
  }
  return readers
}

// ---- away with it

/** Some partitions of a topic, or all of those there are. */
export interface TopicChoice {
  readonly topic: string
  readonly partitions: readonly number[] | null
}

/** Removes a group without members and its offsets, or the offsets of one topic that nobody in the group reads. */
export async function deleteGroup(broker: Broker, id: string, choice: TopicChoice | null): Promise<void> {
  requireGroup(broker, id)
  if (choice !== null) return deleteOffsets(broker, id, choice)
  refuseIfActive(broker, id, 'it is deleted')
  refuseUnless(await broker.groups.remove(id))
}

async function deleteOffsets(broker: Broker, id: string, { topic: name, partitions }: TopicChoice): Promise<void> {
  const allowed = broker.groups.mayDeleteOffsets(id)
  if (!allowed.ok) return refuseUnless(allowed.error)
  const topic = broker.log.state.topics.get(name)
  const kept = topic === undefined ? undefined : broker.log.state.groups.get(id)?.offsets.get(topic.id)
  const chosen = [...(kept?.keys() ?? [])].filter(index => partitions?.includes(index) ?? true)
  if (topic === undefined || chosen.length === 0) {
    throw new ChronikError('NO_OFFSETS', 'invalid', `group '${id}' has committed no such offset of '${name}'`)
  }
  if (allowed.isSubscribed(name)) {
    const message = `members of group '${id}' read '${name}': offsets are deleted when they have ended`
    throw new ChronikError('GROUP_ACTIVE', 'conflict', message)
  }
  const refused = await propose(broker, {
    kind: 'offsets-removed',
    groupId: id,
    topics: [{ topicId: topic.id, partitions: chosen }],
  })
  if (refused !== null) refuseUnless(refused.code)
}

/** Members would go on from where they are, and commit over whatever is set. */
export function refuseIfActive({ groups }: Broker, id: string, what: string): void {
  const found = groups.describe(id)
  if (found === null || found.phase === 'Empty') return
  const count = found.members.length === 1 ? '1 member' : `${found.members.length} members`
  const message = `group '${id}' is ${found.phase} with ${count}: ${what} when its consumers have ended`
  throw new ChronikError('GROUP_ACTIVE', 'conflict', message)
}

export function refuseUnless(error: KafkaErrorName, message = kafkaErrors[error].message): void {
  if (error === 'NONE') return
  const kind = error === 'COORDINATOR_NOT_AVAILABLE' || error === 'KAFKA_STORAGE_ERROR' ? 'unavailable' : 'conflict'
  throw new ChronikError(error, kind, `the broker refused it: ${message}`)
}
