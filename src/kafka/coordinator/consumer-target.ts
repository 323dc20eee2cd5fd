import { assert } from '#base/assert.ts'
import type { ConsumerGroup, ConsumerMember, Target } from '#core/consumer-groups.ts'
import { ASSIGNORS, type Assignee, type Assignor, DEFAULT_ASSIGNOR } from './assignors.ts'
import type { ConsumerStep } from './consumer-step.ts'

// What a group's members are to have (Kafka: TargetAssignmentBuilder): computed again when what they want has changed, or the
// topics that they want.

/** The assignor that most members name. */
export function preferredAssignor({ members }: Pick<ConsumerGroup, 'members'>): string {
  const votes = new Map<string, number>()
  for (const { assignor } of members.values()) {
    if (assignor !== null) votes.set(assignor, (votes.get(assignor) ?? 0) + 1)
  }
  let [preferred, most] = [DEFAULT_ASSIGNOR, 0]
  for (const [name, count] of votes) if (count > most) [preferred, most] = [name, count]
  return preferred
}

/** What members want is another than what stands here, whatever it is. */
const TO_BE_LOOKED_AT = -1

/**
 * A new epoch of the group if members want other things than before, or what they want has become another. As long as it is not
 * known what they want, there is none: it comes as soon as that is known, also after a restart.
 */
export function updateEpoch(step: ConsumerStep, hasChanged: boolean): void {
  const { timers, topics } = step
  const topicsEpoch = topics.epoch
  if (!hasChanged && timers.topicsEpoch === topicsEpoch) return
  // It is another one as soon as what is not known yet is.
  timers.topicsEpoch = topicsEpoch
  const { epoch, topicsHash: knownHash } = step.group
  const isKnown = step.knowsTopics()
  const topicsHash = isKnown ? hashOfTopics(step) : hasChanged ? TO_BE_LOOKED_AT : knownHash
  if (topicsHash === knownHash && !(hasChanged && isKnown)) return
  step.change({ kind: 'epoch', epoch: isKnown ? epoch + 1 : epoch, topicsHash })
}

/**
 * Computes the targets of the epoch, unless they were computed a moment ago or it is not known yet what members want: then a later
 * heartbeat does.
 */
export function updateTargets(step: ConsumerStep): void {
  const { timers, nowMs, limits } = step
  const { epoch, targetEpoch } = step.group
  if (targetEpoch >= epoch) return
  if (timers.assignedMs !== null && nowMs < timers.assignedMs + limits.assignmentIntervalMs) return
  if (!step.knowsTopics()) return
  const { assignees, counts } = assignmentOf(step)
  const targets = assignorOf(step)(assignees, counts)
  for (const { id, target } of assignees) {
    const next = targets.get(id)!
    if (!isSame(target, next)) step.change({ kind: 'target', memberId: id, target: next })
  }
  step.change({ kind: 'target-epoch', epoch })
  timers.assignedMs = nowMs
}

/** Names as one text. Every epoch asks for those of all members, most of which have not changed: kept as long as the names. */
const joinedNames = new WeakMap<readonly string[], string>()

function joined(names: readonly string[]): string {
  let text = joinedNames.get(names)
  if (text === undefined) {
    text = names.join('\n')
    joinedNames.set(names, text)
  }
  return text
}

/** Ids of the topics that members want, all of which are known: members that want the same share one set. */
class Subscriptions {
  readonly #step: ConsumerStep
  /** By expression and names. */
  readonly #known = new Map<string, Map<string, ReadonlySet<string>>>()

  constructor(step: ConsumerStep) {
    this.#step = step
  }

  of(member: ConsumerMember): ReadonlySet<string> {
    let ofRegex = this.#known.get(member.topicRegex)
    if (ofRegex === undefined) {
      ofRegex = new Map()
      this.#known.set(member.topicRegex, ofRegex)
    }
    const key = joined(member.topicNames)
    const known = ofRegex.get(key)
    if (known !== undefined) return known
    const topicIds = this.#step.topicIdsOf(member)
    assert(topicIds !== null, 'it is known what members want')
    ofRegex.set(key, topicIds)
    return topicIds
  }

  /** Of all members that were asked for, sorted. */
  all(): string[] {
    const all = new Set<string>()
    for (const ofRegex of this.#known.values()) {
      for (const topicIds of ofRegex.values()) for (const id of topicIds) all.add(id)
    }
    return [...all].sort()
  }
}

function assignorOf(step: ConsumerStep): Assignor {
  return ASSIGNORS.get(preferredAssignor(step.group)) ?? ASSIGNORS.get(DEFAULT_ASSIGNOR)!
}

function assignmentOf(step: ConsumerStep): { assignees: Assignee[]; counts: Map<string, number> } {
  const subscriptions = new Subscriptions(step)
  const assignees = [...step.group.members.values()].map(
    (member: ConsumerMember): Assignee => ({
      id: member.id,
      instanceId: member.instanceId,
      topicIds: subscriptions.of(member),
      target: member.target,
    }),
  )
  return { assignees, counts: new Map(subscriptions.all().map(id => [id, step.topics.partitionCountOf(id)])) }
}

function isSame(a: Target, b: Target): boolean {
  if (a.size !== b.size) return false
  for (const [topicId, partitions] of a) {
    const others = b.get(topicId)
    if (others?.length !== partitions.length || !partitions.every((partition, i) => partition === others[i]))
      return false
  }
  return true
}

/** Of ids and sizes of all topics that are wanted: below 2^53, and 0 for none. */
function hashOfTopics(step: ConsumerStep): number {
  const subscriptions = new Subscriptions(step)
  for (const member of step.group.members.values()) subscriptions.of(member)
  const wanted = subscriptions.all()
  if (wanted.length === 0) return 0
  let low = 0x811c9dc5
  let high = 0x9e3779b9
  for (const id of wanted) {
    const text = `${id}${step.topics.partitionCountOf(id)};`
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      low = Math.imul(low ^ code, 0x01000193)
      high = Math.imul(high ^ code, 0x85ebca6b)
      high ^= high >>> 13
    }
  }
  return (high >>> 11) * 2 ** 32 + (low >>> 0)
}
