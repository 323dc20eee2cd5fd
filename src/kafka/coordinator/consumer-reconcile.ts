import { type Assignment, type ConsumerMember, type MemberProgress, NO_PARTITIONS } from '#core/consumer-groups.ts'
import { type ConsumerStep, NEVER } from './consumer-step.ts'

// The way of one member from what it has to its target (Kafka: CurrentAssignmentBuilder). First it gives up what it is not to
// have any more, and says so; then it is at the epoch of the target, and gets what no other member still has.

/** What a member says that it has; null: it did not say. */
export type Owned = readonly { readonly topicId: string; readonly partitions: readonly number[] }[] | null

/** Takes a member as far as it can go. `hasSubscriptionChanged`: it must not keep topics that it no longer wants. */
export function reconcile(step: ConsumerStep, memberId: string, owned: Owned, hasSubscriptionChanged: boolean): void {
  const member = step.member(memberId)
  const { targetEpoch } = step.group
  if (!hasSubscriptionChanged && member.state === 'stable' && member.epoch === targetEpoch) return
  const progress = nextProgress(step, member, owned, hasSubscriptionChanged)
  if (progress === null) return
  step.change({ kind: 'progress', memberId, progress })
  // Who speaks the classic protocol has to join again in time, which has a deadline of its own.
  if (member.classic !== null) return
  const isRevoking = progress.state === 'unrevoked'
  step.timers.set(memberId, { revokeMs: isRevoking ? step.nowMs + member.rebalanceTimeoutMs : NEVER })
}

function nextProgress(
  step: ConsumerStep,
  member: ConsumerMember,
  owned: Owned,
  hasSubscriptionChanged: boolean,
): MemberProgress | null {
  const isAtTarget = member.state === 'stable' && member.epoch === step.group.targetEpoch
  const mustWait = member.state === 'unrevoked' && ownsAny(owned, member.revoking)
  if (isAtTarget || mustWait) return hasSubscriptionChanged ? withoutUnwanted(step, member, owned) : null
  const next = towardsTarget(step, member, owned)
  return isSameProgress(member, next) ? null : next
}

function towardsTarget(step: ConsumerStep, member: ConsumerMember, owned: Owned): MemberProgress {
  const { targetEpoch } = step.group
  const wanted = step.topicIdsOf(member)
  const assigned = new Map<string, Map<number, number>>()
  const revoking = new Map<string, Map<number, number>>()
  const added = new Map<string, number[]>()
  let hasUnreleased = false
  for (const topicId of new Set([...member.target.keys(), ...member.assigned.keys()])) {
    const isWanted = wanted === null || wanted.has(topicId)
    const target = isWanted ? (member.target.get(topicId) ?? []) : []
    const has = member.assigned.get(topicId) ?? NO_EPOCHS
    const targeted = new Set(target)
    for (const [partition, epoch] of has) put(targeted.has(partition) ? assigned : revoking, topicId, partition, epoch)
    const free: number[] = []
    for (const partition of target) {
      if (has.has(partition)) continue
      // What it is about to give up itself nobody else can have.
      const owner = step.group.ownerOf(topicId, partition)
      if (owner === undefined || owner === member.id) free.push(partition)
      else hasUnreleased = true
    }
    if (free.length > 0) added.set(topicId, free)
  }
  const previousEpoch = member.epoch
  if (revoking.size > 0 && ownsAny(owned, revoking)) {
    return { epoch: member.epoch, previousEpoch, state: 'unrevoked', assigned, revoking }
  }
  for (const [topicId, partitions] of added) {
    for (const partition of partitions) put(assigned, topicId, partition, targetEpoch)
  }
  const state = hasUnreleased ? 'unreleased' : 'stable'
  return { epoch: targetEpoch, previousEpoch, state, assigned, revoking: NO_PARTITIONS }
}

/** Takes topics away that the member no longer wants, before there is a new target for it. */
function withoutUnwanted(step: ConsumerStep, member: ConsumerMember, owned: Owned): MemberProgress | null {
  const wanted = step.topicIdsOf(member)
  if (wanted === null) return null
  const unwanted = [...member.assigned].filter(([topicId]) => !wanted.has(topicId))
  if (unwanted.length === 0) return null
  const assigned: Assignment = new Map([...member.assigned].filter(([topicId]) => wanted.has(topicId)))
  const revoking = new Map([...member.revoking].map(([topicId, epochs]) => [topicId, new Map(epochs)]))
  for (const [topicId, epochs] of unwanted) {
    for (const [partition, epoch] of epochs) put(revoking, topicId, partition, epoch)
  }
  const { epoch } = member
  if (ownsAny(owned, revoking)) return { epoch, previousEpoch: epoch, state: 'unrevoked', assigned, revoking }
  const { previousEpoch, state } = member
  return { epoch, previousEpoch, state, assigned, revoking: member.revoking }
}

const NO_EPOCHS: ReadonlyMap<number, number> = new Map()

function put(into: Map<string, Map<number, number>>, topicId: string, partition: number, epoch: number): void {
  const epochs = into.get(topicId)
  if (epochs === undefined) into.set(topicId, new Map([[partition, epoch]]))
  else epochs.set(partition, epoch)
}

/** Who does not say what it has may still have everything. */
function ownsAny(owned: Owned, of: Assignment): boolean {
  if (owned === null) return true
  return owned.some(({ topicId, partitions }) => {
    const epochs = of.get(topicId)
    return epochs !== undefined && partitions.some(partition => epochs.has(partition))
  })
}

/** Is all that a member says it has among what it was given? */
export function isWithin(owned: Owned, assigned: Assignment): boolean {
  if (owned === null) return false
  return owned.every(({ topicId, partitions }) => {
    const epochs = assigned.get(topicId)
    return epochs !== undefined && partitions.every(partition => epochs.has(partition))
  })
}

function isSameProgress(a: MemberProgress, b: MemberProgress): boolean {
  return (
    a.epoch === b.epoch &&
    a.state === b.state &&
    isSameAssignment(a.assigned, b.assigned) &&
    isSameAssignment(a.revoking, b.revoking)
  )
}

export function isSameAssignment(a: Assignment, b: Assignment): boolean {
  if (a === b) return true
  if (a.size !== b.size) return false
  for (const [topicId, epochs] of a) {
    const others = b.get(topicId)
    if (others?.size !== epochs.size) return false
    for (const [partition, epoch] of epochs) if (others.get(partition) !== epoch) return false
  }
  return true
}
