import { type Assignment, type ConsumerMember, descriptionBytes, partitionsIn } from '#core/consumer-groups.ts'
import { ClassicGroup, type Member, metadataFor, NO_BYTES } from './classic-group.ts'
import {
  CONSUMER_PROTOCOL,
  type NamedPartitions,
  readAssigned,
  readSubscription,
  subscribedNames,
  writeAssigned,
} from './consumer-protocol.ts'
import type { ConsumerRefusal, ConsumerStep } from './consumer-step.ts'
import type { TopicView } from './topic-view.ts'

// Groups change their type while their members go on: a classic group becomes a consumer group when a member that speaks the
// consumer protocol joins, and a classic one again when the last of these has gone (KIP-848, online migration).

// ---- from classic to consumer

/** Makes the step's group what the classic group is. A refusal, and nothing changes. */
export function upgradeFrom(classic: ClassicGroup, step: ConsumerStep): ConsumerRefusal | null {
  const { limits } = step
  const refuse = (why: string): ConsumerRefusal => ({
    error: 'GROUP_ID_NOT_FOUND',
    message: `Cannot upgrade classic group ${classic.id} to consumer group because ${why}.`,
  })
  const allows = limits.migrationPolicy === 'bidirectional' || limits.migrationPolicy === 'upgrade'
  if (!allows) return refuse('online upgrade is disabled')
  if (classic.protocolType !== CONSUMER_PROTOCOL) return refuse('the group does not use the consumer embedded protocol')
  if (classic.members.size > limits.maxMembers) return refuse('the group size exceeds the consumer group maximum size')
  const told = new Map<Member, Told>()
  for (const member of classic.members.values()) {
    const what = toldBy(member, classic.protocol)
    if (what === null) return refuse('the embedded consumer protocol is malformed')
    // It would not know what to do with what a server-side assignor says.
    if (what.hasUserData) return refuse('an unsupported custom assignor is in use')
    told.set(member, what)
  }
  for (const [member, what] of told) adopt(step, member, what, classic.generation)
  step.change({ kind: 'epoch', epoch: classic.generation, topicsHash: 0 })
  step.change({ kind: 'target-epoch', epoch: classic.generation })
  return null
}

interface Told {
  readonly topics: readonly string[]
  readonly rackId: string | null
  readonly assigned: NamedPartitions
  readonly hasUserData: boolean
}

function toldBy(member: Member, protocol: string | null): Told | null {
  const metadata = protocol === null ? (member.protocols[0]?.metadata ?? NO_BYTES) : metadataFor(member, protocol)
  const subscription = readSubscription(metadata)
  const assigned = readAssigned(member.assignment)
  if (subscription === null || assigned === null) return null
  const { topics, rackId } = subscription
  return { topics, rackId, assigned: assigned.partitions, hasUserData: assigned.hasUserData }
}

function adopt(step: ConsumerStep, member: Member, { topics, rackId, assigned }: Told, generation: number): void {
  const { id, instanceId, clientId, clientHost, rebalanceTimeoutMs, sessionTimeoutMs, protocols } = member
  step.change({
    kind: 'member',
    member: {
      ...{ id, instanceId, rackId, clientId, clientHost, rebalanceTimeoutMs },
      topicNames: subscribedNames(topics),
      topicRegex: '',
      assignor: null,
      classic: { sessionTimeoutMs, protocols },
    },
  })
  const partitions = heldBy(step, assigned, generation)
  const target = new Map(
    [...partitions].map(([topicId, epochs]) => [topicId, [...epochs.keys()].sort((a, b) => a - b)]),
  )
  step.change({ kind: 'target', memberId: id, target })
  const progress = { epoch: generation, previousEpoch: generation, state: 'stable', revoking: new Map() } as const
  step.change({ kind: 'progress', memberId: id, progress: { ...progress, assigned: partitions } })
  step.timers.set(id, { sessionMs: step.nowMs + sessionTimeoutMs })
}

/** What is there and nobody else has: the leader of a classic group may assign what it likes. */
function heldBy(step: ConsumerStep, named: NamedPartitions, epoch: number): Assignment {
  const held = new Map<string, Map<number, number>>()
  for (const [name, indexes] of named) {
    const topicId = step.topics.idOf(name)
    if (topicId === undefined) continue
    const ours = indexes.filter(
      index =>
        index >= 0 && index < step.topics.partitionCountOf(topicId) && step.group.ownerOf(topicId, index) === undefined,
    )
    if (ours.length > 0) held.set(topicId, new Map(ours.map(index => [index, epoch])))
  }
  return held
}

// ---- from consumer to classic

/** May the group become a classic one of these members? */
export function mayDowngrade({ limits }: Pick<ConsumerStep, 'limits'>, members: readonly ConsumerMember[]): boolean {
  const allows = limits.migrationPolicy === 'bidirectional' || limits.migrationPolicy === 'downgrade'
  const isClassic = members.length > 0 && members.every(({ classic }) => classic !== null)
  const hasRoom = members.length <= limits.maxClassicMembers && describedBytes(members) <= limits.maxBytes
  return allows && isClassic && hasRoom
}

function describedBytes(members: readonly ConsumerMember[]): number {
  return members.reduce((bytes, member) => bytes + descriptionBytes(member), 0)
}

/** `rebalances`: its members are to join again. */
export function downgradeTo(step: ConsumerStep, members: readonly ConsumerMember[], rebalances: boolean): void {
  const group = new ClassicGroup(step.groupId)
  group.phase = 'Stable'
  group.generation = step.group.epoch
  group.protocolType = CONSUMER_PROTOCOL
  for (const member of members) group.add(classicMember(member, step.nowMs))
  group.protocol = group.selectProtocol()
  for (const one of members) {
    const member = group.members.get(one.id)!
    const version = readSubscription(metadataFor(member, group.protocol))?.version ?? 0
    member.assignment = writeAssigned(version, namedPartitions(step.topics, stillHeldBy(one)))
  }
  if (rebalances) group.leaderId = null
  step.downgrade = { group, rebalances }
}

/**
 * Not its target, as in Kafka: a group that rebalances never hands this out, but may become a consumer group again before the member
 * has given up anything, and must not give it to others then. In one that does not, both are the same.
 */
function stillHeldBy({ assigned, revoking }: ConsumerMember): Map<string, number[]> {
  const held = partitionsIn(assigned)
  for (const [topicId, partitions] of partitionsIn(revoking)) {
    held.set(
      topicId,
      [...(held.get(topicId) ?? []), ...partitions].sort((a, b) => a - b),
    )
  }
  return held
}

function classicMember(member: ConsumerMember, nowMs: number): Member {
  const { id, instanceId, clientId, clientHost, rebalanceTimeoutMs } = member
  const sessionTimeoutMs = member.classic?.sessionTimeoutMs ?? 0
  return {
    ...{ id, instanceId, clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs },
    protocols: member.classic?.protocols ?? [],
    assignment: NO_BYTES,
    joinToken: null,
    syncToken: null,
    isNew: false,
    expiresMs: nowMs + sessionTimeoutMs,
  }
}

/** By name, of the topics that are there. */
export function namedPartitions(
  topics: TopicView,
  partitions: ReadonlyMap<string, readonly number[]>,
): Map<string, number[]> {
  const named = new Map<string, number[]>()
  for (const [topicId, indexes] of partitions) {
    const name = topics.nameOf(topicId)
    if (name !== undefined) named.set(name, [...indexes])
  }
  return named
}
