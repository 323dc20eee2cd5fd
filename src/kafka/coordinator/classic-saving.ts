import type { Generation, SavedMember } from '#core/groups.ts'
import { ClassicGroup, type Member, metadataFor } from './classic-group.ts'

// What is stored of a classic group, and the group that comes of it after a restart: its members go on in the generation they
// were in, and their sessions begin anew. A group that was of the other type until now, and has to rebalance, is stored without a
// leader: nobody has assigned anything in that generation.

export function generationOf(group: ClassicGroup, assignmentOf: (member: Member) => Buffer): Generation {
  const { generation, protocolType, protocol, leaderId } = group
  const members = [...group.members.values()].map(member => ({
    id: member.id,
    instanceId: member.instanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    sessionTimeoutMs: member.sessionTimeoutMs,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    metadata: metadataFor(member, protocol),
    assignment: assignmentOf(member),
  }))
  return { generation, protocolType, protocol, leaderId, members }
}

export function restoredGroup(id: string, saved: Generation, nowMs: number): ClassicGroup {
  const group = new ClassicGroup(id)
  const { generation, protocolType, protocol, leaderId, members } = saved
  Object.assign(group, { generation, protocolType, protocol, phase: members.length === 0 ? 'Empty' : 'Stable' })
  for (const member of members) group.add(restoredMember(member, protocol ?? '', nowMs))
  group.leaderId = leaderId
  return group
}

/** Are the members of what is stored to join again? */
export function isToRebalance({ leaderId, members }: Generation): boolean {
  return leaderId === null && members.length > 0
}

function restoredMember(saved: SavedMember, protocol: string, nowMs: number): Member {
  const { id, instanceId, clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, metadata, assignment } = saved
  return {
    ...{ id, instanceId, clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, assignment },
    protocols: [{ name: protocol, metadata }],
    joinToken: null,
    syncToken: null,
    isNew: false,
    expiresMs: nowMs + sessionTimeoutMs,
  }
}
