import { ChronikError } from '#base/errors.ts'
import { Walk } from '#base/walk.ts'
import type { Topic } from '#core/state.ts'
import { highWatermark } from '#log/read-bounds.ts'
import type { Broker } from './broker.ts'
import { lagRecords } from './group-lag.ts'
import { type GroupView, isIdle, type MemberView, viewGroup } from './group-view.ts'
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
  readonly members: readonly MemberView[]
  readonly partitions: readonly PartitionDescription[]
}

const GROUPS_OF_A_PAGE = 1000

export async function listGroups(broker: Broker, from: number): Promise<GroupPage> {
  const groups: GroupSummary[] = []
  const walk = new Walk(broker.clock)
  let place = 0
  for (const id of broker.groups.ids()) {
    if (place++ < from) continue
    const found = viewGroup(broker, id)
    if (found === null) continue
    if (groups.length === GROUPS_OF_A_PAGE) return { groups, next: place - 1 }
    const summary = summaryOf(broker, found)
    groups.push(summary)
    if (walk.stepped(1 + summary.members + summary.partitions)) await walk.rest()
  }
  return { groups, next: null }
}

function summaryOf({ log }: Broker, { id, type, protocolType, state, memberCount }: GroupView): GroupSummary {
  let [partitions, lag] = [0, 0]
  for (const [topicId, offsets] of log.state.groups.get(id)?.offsets ?? []) {
    const topic = log.state.topicsById.get(topicId)!
    for (const [index, { offset }] of offsets) lag += lagRecords(log, topic.partitions[index]!, offset)
    partitions += offsets.size
  }
  return { group: id, type, protocolType, state, members: memberCount, partitions, lag }
}

export function describeGroup(broker: Broker, id: string): GroupDescription {
  const found = requireGroup(broker, id)
  const members = found.members()
  const { members: _, partitions: __, ...summary } = summaryOf(broker, found)
  return {
    ...summary,
    protocol: found.protocol,
    coordinator: broker.settings.nodeId,
    members,
    partitions: partitionsOf(broker, id, members),
  }
}

function requireGroup(broker: Broker, id: string): GroupView {
  const found = viewGroup(broker, id)
  if (found !== null) return found
  throw new ChronikError('GROUP_NOT_FOUND', 'invalid', `there is no group '${id}': 'chronik group list' has all`)
}

/** Partitions with a committed offset, and those that a member reads without one. */
function partitionsOf(
  { log }: Broker,
  groupId: string,
  members: readonly MemberView[],
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
        end: highWatermark(log, partition),
        lag: committed === null ? null : lagRecords(log, partition, committed),
        member: reader?.member ?? null,
        client: reader?.client ?? null,
        host: reader?.host ?? null,
      })
    }
  }
  return described.sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition))
}

/** By topic and partition. */
function readersOf(members: readonly MemberView[]): Map<string, Map<number, MemberView>> {
  const readers = new Map<string, Map<number, MemberView>>()
  for (const member of members) {
    for (const { topic, partitions } of member.assignment ?? []) {
      const ofTopic = readers.get(topic) ?? new Map<number, MemberView>()
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
  if (choice !== null) return broker.groups.whenSettled(id, () => deleteOffsets(broker, id, choice))
  await broker.groups.whenSettled(id, () => refuseIfActive(broker, id, 'it is deleted'))
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
export function refuseIfActive(broker: Broker, id: string, what: string): void {
  const found = viewGroup(broker, id)
  if (found === null || isIdle(found)) return
  const count = found.memberCount === 1 ? '1 member' : `${found.memberCount} members`
  const message = `group '${id}' is ${found.state} with ${count}: ${what} when its consumers have ended`
  throw new ChronikError('GROUP_ACTIVE', 'conflict', message)
}

export function refuseUnless(error: KafkaErrorName, message = kafkaErrors[error].message): void {
  if (error === 'NONE') return
  const kind = error === 'COORDINATOR_NOT_AVAILABLE' || error === 'KAFKA_STORAGE_ERROR' ? 'unavailable' : 'conflict'
  throw new ChronikError(error, kind, `the broker refused it: ${message}`)
}
