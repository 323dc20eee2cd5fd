import { type ConsumerGroup, partitionsIn } from '#core/consumer-groups.ts'
import type { Broker } from './broker.ts'
import { namedPartitions } from './coordinator/consumer-migration.ts'
import { type AssignedTopic, assignmentIn, CONSUMER_PROTOCOL } from './coordinator/consumer-protocol.ts'
import { preferredAssignor } from './coordinator/consumer-target.ts'
import { consumerPhase } from './coordinator/consumer-view.ts'
import type { GroupCoordinator } from './coordinator/group-coordinator.ts'

// A group as operators see it, whatever its type: everything that shows groups asks here.

export interface GroupView {
  readonly id: string
  readonly type: string
  readonly state: string
  /** '' for a group that only keeps offsets. */
  readonly protocolType: string
  /** What the members have agreed on. */
  readonly protocol: string
  readonly memberCount: number
  members(): MemberView[]
}

export interface MemberView {
  readonly member: string
  readonly instance: string | null
  readonly client: string
  readonly host: string
  /** Null: its bytes are none that a consumer would understand. */
  readonly assignment: readonly AssignedTopic[] | null
}

/** Without members, and so nobody's but the operator's. */
export function isIdle({ state }: GroupView): boolean {
  return state === 'Empty'
}

/** Null: there is no such group. */
export function viewGroup({ groups }: Broker, id: string): GroupView | null {
  const consumer = groups.describeConsumer(id)
  if (consumer !== null) return viewConsumer(id, consumer, groups)
  const found = groups.describe(id)
  if (found === null) return null
  const { phase, protocolType, protocol, members } = found
  return {
    id,
    type: 'classic',
    state: phase,
    protocolType: protocolType ?? '',
    protocol: protocol ?? '',
    memberCount: members.length,
    members: () =>
      members.map(({ id: member, instanceId, clientId, clientHost, assignment }) => ({
        member,
        instance: instanceId,
        client: clientId,
        host: clientHost,
        assignment: protocolType === CONSUMER_PROTOCOL ? assignmentIn(assignment) : null,
      })),
  }
}

function viewConsumer(id: string, group: ConsumerGroup, groups: GroupCoordinator): GroupView {
  const { topics } = groups
  return {
    id,
    type: 'consumer',
    state: consumerPhase(group),
    protocolType: CONSUMER_PROTOCOL,
    protocol: preferredAssignor(group),
    memberCount: group.members.size,
    members: () =>
      [...group.members.values()].map(({ id: member, instanceId, clientId, clientHost, assigned }) => ({
        member,
        instance: instanceId,
        client: clientId,
        host: clientHost,
        assignment: [...namedPartitions(topics, partitionsIn(assigned))].map(([topic, partitions]) => ({
          topic,
          partitions,
        })),
      })),
  }
}
