import type { ConsumerMember } from '#core/consumer-groups.ts'
import { downgradeTo, mayDowngrade } from './consumer-migration.ts'
import { type ConsumerStep, earliestOf } from './consumer-step.ts'
import { updateEpoch } from './consumer-target.ts'

// How members go: because they leave, or because their time is over.

export function fenceMembers(step: ConsumerStep, members: readonly ConsumerMember[]): void {
  if (members.length === 0) return
  const gone = new Set(members.map(({ id }) => id))
  const left = [...step.group.members.values()].filter(({ id }) => !gone.has(id))
  if (mayDowngrade(step, left)) {
    downgradeTo(step, left, true)
    return
  }
  for (const id of gone) {
    step.change({ kind: 'member-gone', memberId: id })
    step.timers.members.delete(id)
  }
  updateEpoch(step, true)
  // Nobody is left to assign anything to.
  if (step.group.members.size > 0) return
  step.change({ kind: 'target-epoch', epoch: step.group.epoch })
  step.timers.assignedMs = null
}

/** What the deadlines of the group have brought about by now. */
export function consumerTick(step: ConsumerStep): void {
  const late: ConsumerMember[] = []
  for (const [id, deadlines] of step.timers.members) {
    if (earliestOf(deadlines) > step.nowMs) continue
    const member = step.group.members.get(id)
    if (member === undefined) step.timers.members.delete(id)
    else late.push(member)
  }
  fenceMembers(step, late)
  step.timers.findNearest()
}
