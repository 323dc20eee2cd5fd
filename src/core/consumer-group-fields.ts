import { assert, unreachable } from '#base/assert.ts'
import { type ByteReader, type ByteWriter, MalformedBytes } from '#bytes/cursor.ts'
import { keepTogether } from '#bytes/keep.ts'
import {
  type Assignment,
  type ClassicSide,
  type ConsumerChange,
  ConsumerGroup,
  MEMBER_STATES,
  type MemberDescription,
  type MemberProgress,
  type Target,
} from './consumer-groups.ts'
import { readBlob, readOptionalText, readText, writeBlob, writeOptionalText, writeText } from './fields.ts'

// The consumer side of a group as bytes: its changes in records of the commit log, and all of it in checkpoints.

/** Stored: a number is never reused. */
const CHANGE_NUMBERS: { readonly [Kind in ConsumerChange['kind']]: number } = {
  epoch: 1,
  member: 2,
  progress: 3,
  target: 4,
  'target-epoch': 5,
  'member-gone': 6,
}
const CHANGE_KINDS = new Map(
  Object.entries(CHANGE_NUMBERS).map(([kind, number]) => [number, kind as ConsumerChange['kind']]),
)

export function writeConsumerChanges(into: ByteWriter, changes: readonly ConsumerChange[]): void {
  into.uvarint(changes.length)
  for (const change of changes) {
    into.u8(CHANGE_NUMBERS[change.kind])
    writeChange(into, change)
  }
}

export function readConsumerChanges(from: ByteReader): ConsumerChange[] {
  const changes: ConsumerChange[] = []
  for (let left = from.uvarint(); left > 0; left--) changes.push(readChange(from))
  return changes
}

function writeChange(into: ByteWriter, change: ConsumerChange): void {
  switch (change.kind) {
    case 'epoch':
      into.uvarint(change.epoch)
      into.i64(change.topicsHash)
      return
    case 'member':
      writeDescription(into, change.member)
      return
    case 'progress':
      writeText(into, change.memberId)
      writeProgress(into, change.progress)
      return
    case 'target':
      writeText(into, change.memberId)
      writeTarget(into, change.target)
      return
    case 'target-epoch':
      into.uvarint(change.epoch)
      return
    case 'member-gone':
      writeText(into, change.memberId)
      return
    default:
      unreachable(change)
  }
}

function readChange(from: ByteReader): ConsumerChange {
  const kind = CHANGE_KINDS.get(from.u8())
  if (kind === undefined) throw new MalformedBytes('a change of a consumer group is of no known kind')
  switch (kind) {
    case 'epoch':
      return { kind, epoch: from.uvarint(), topicsHash: from.i64() }
    case 'member':
      return { kind, member: readDescription(from) }
    case 'progress':
      return { kind, memberId: readText(from), progress: readProgress(from) }
    case 'target':
      return { kind, memberId: readText(from), target: readTarget(from) }
    case 'target-epoch':
      return { kind, epoch: from.uvarint() }
    case 'member-gone':
      return { kind, memberId: readText(from) }
    default:
      return unreachable(kind)
  }
}

/** All of it; nothing but a zero if the group has no such side. */
export function writeConsumerGroup(into: ByteWriter, group: ConsumerGroup | null): void {
  into.u8(group === null ? 0 : 1)
  if (group === null) return
  into.uvarint(group.epoch)
  into.i64(group.topicsHash)
  into.uvarint(group.targetEpoch)
  into.uvarint(group.members.size)
  for (const member of group.members.values()) {
    writeDescription(into, member)
    writeProgress(into, member)
    writeTarget(into, member.target)
  }
}

export function readConsumerGroup(from: ByteReader): ConsumerGroup | null {
  if (from.u8() === 0) return null
  const group = new ConsumerGroup()
  group.apply({ kind: 'epoch', epoch: from.uvarint(), topicsHash: from.i64() })
  group.apply({ kind: 'target-epoch', epoch: from.uvarint() })
  for (let left = from.uvarint(); left > 0; left--) {
    const member = readDescription(from)
    group.apply({ kind: 'member', member })
    group.apply({ kind: 'progress', memberId: member.id, progress: readProgress(from) })
    group.apply({ kind: 'target', memberId: member.id, target: readTarget(from) })
  }
  return group
}

function writeDescription(into: ByteWriter, member: MemberDescription): void {
  writeText(into, member.id)
  writeOptionalText(into, member.instanceId)
  writeOptionalText(into, member.rackId)
  writeText(into, member.clientId)
  writeText(into, member.clientHost)
  into.i32(member.rebalanceTimeoutMs)
  into.uvarint(member.topicNames.length)
  for (const name of member.topicNames) writeText(into, name)
  writeText(into, member.topicRegex)
  writeOptionalText(into, member.assignor)
  into.u8(member.classic === null ? 0 : 1)
  if (member.classic === null) return
  into.i32(member.classic.sessionTimeoutMs)
  into.uvarint(member.classic.protocols.length)
  for (const { name, metadata } of member.classic.protocols) {
    writeText(into, name)
    writeBlob(into, metadata)
  }
}

function readDescription(from: ByteReader): MemberDescription {
  return {
    id: readText(from),
    instanceId: readOptionalText(from),
    rackId: readOptionalText(from),
    clientId: readText(from),
    clientHost: readText(from),
    rebalanceTimeoutMs: from.i32(),
    topicNames: readTexts(from),
    topicRegex: readText(from),
    assignor: readOptionalText(from),
    classic: from.u8() === 0 ? null : readClassicSide(from),
  }
}

function readTexts(from: ByteReader): string[] {
  const texts: string[] = []
  for (let left = from.uvarint(); left > 0; left--) texts.push(readText(from))
  return texts
}

function readClassicSide(from: ByteReader): ClassicSide {
  const sessionTimeoutMs = from.i32()
  const protocols: ClassicSide['protocols'][number][] = []
  for (let left = from.uvarint(); left > 0; left--) protocols.push({ name: readText(from), metadata: readBlob(from) })
  const kept = keepTogether(protocols.map(({ metadata }) => metadata))
  return { sessionTimeoutMs, protocols: protocols.map(({ name }, i) => ({ name, metadata: kept[i]! })) }
}

function writeProgress(into: ByteWriter, { epoch, previousEpoch, state, assigned, revoking }: MemberProgress): void {
  into.i32(epoch)
  into.i32(previousEpoch)
  into.u8(MEMBER_STATES.indexOf(state))
  writeAssignment(into, assigned)
  writeAssignment(into, revoking)
}

function readProgress(from: ByteReader): MemberProgress {
  const epoch = from.i32()
  const previousEpoch = from.i32()
  const state = MEMBER_STATES[from.u8()]
  assert(state !== undefined, 'a state that was written is known')
  return { epoch, previousEpoch, state, assigned: readAssignment(from), revoking: readAssignment(from) }
}

function writeAssignment(into: ByteWriter, assignment: Assignment): void {
  into.uvarint(assignment.size)
  for (const [topicId, epochs] of assignment) {
    writeText(into, topicId)
    into.uvarint(epochs.size)
    for (const [partition, epoch] of epochs) {
      into.uvarint(partition)
      into.uvarint(epoch)
    }
  }
}

function readAssignment(from: ByteReader): Assignment {
  const assignment = new Map<string, Map<number, number>>()
  for (let left = from.uvarint(); left > 0; left--) {
    const topicId = readText(from)
    const epochs = new Map<number, number>()
    for (let more = from.uvarint(); more > 0; more--) epochs.set(from.uvarint(), from.uvarint())
    assignment.set(topicId, epochs)
  }
  return assignment
}

function writeTarget(into: ByteWriter, target: Target): void {
  into.uvarint(target.size)
  for (const [topicId, partitions] of target) {
    writeText(into, topicId)
    into.uvarint(partitions.length)
    for (const partition of partitions) into.uvarint(partition)
  }
}

function readTarget(from: ByteReader): Target {
  const target = new Map<string, number[]>()
  for (let left = from.uvarint(); left > 0; left--) {
    const topicId = readText(from)
    const partitions: number[] = []
    for (let more = from.uvarint(); more > 0; more--) partitions.push(from.uvarint())
    target.set(topicId, partitions)
  }
  return target
}
