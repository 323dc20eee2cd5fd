import { unreachable } from '#base/assert.ts'
import { ChronikError } from '#base/errors.ts'
import type { CommittedTopic, Group } from '#core/groups.ts'
import type { Partition, Topic } from '#core/state.ts'
import { offsetForTimestamp } from '#log/find-by-timestamp.ts'
import type { Log } from '#log/log.ts'
import { highWatermark } from '#log/read-bounds.ts'
import type { Broker } from './broker.ts'
import { refuseIfActive, refuseUnless, type TopicChoice } from './group-admin.ts'
import { viewGroup } from './group-view.ts'
import { propose } from './refusal.ts'

// Sets the committed offsets of a group that nobody reads in (Kafka: kafka-consumer-groups --reset-offsets).

export type ResetTarget =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  | { readonly kind: 'offset'; readonly offset: number }
  /** The first record that is not older. */
  | { readonly kind: 'time'; readonly timestampMs: number }
  /** The same, by the clock of the broker. */
  | { readonly kind: 'age'; readonly ageMs: number }
  /** So many records on, or back if negative. */
  | { readonly kind: 'shift'; readonly by: number }

export interface ResetRequest {
  readonly group: string
  readonly target: ResetTarget
  /** Null: what the group has committed so far. */
  readonly choice: TopicChoice | null
  /** Says what would be, and changes nothing. */
  readonly dryRun: boolean
}

export interface ResetPartition {
  readonly topic: string
  readonly partition: number
  readonly before: number | null
  readonly after: number
  /** Why it is not what was asked for. */
  readonly note: string | null
}

export interface ResetOutcome {
  readonly group: string
  readonly isNew: boolean
  readonly dryRun: boolean
  readonly partitions: readonly ResetPartition[]
}

const RESET = 'its offsets are reset'

export async function resetOffsets(broker: Broker, request: ResetRequest, signal: AbortSignal): Promise<ResetOutcome> {
  const { group: groupId, dryRun } = request
  const isNew = viewGroup(broker, groupId) === null
  refuseIfActive(broker, groupId, RESET)
  const group = broker.log.state.groups.get(groupId)
  const chosen = choose(broker, request, group)
  const nowMs = broker.clock.nowMs()
  const partitions: ResetPartition[] = []
  const commits: CommittedTopic[] = []
  for (const { topic, indexes } of chosen) {
    const offsets: CommittedTopic['partitions'][number][] = []
    for (const index of indexes) {
      const before = group?.offsets.get(topic.id)?.get(index)?.offset ?? null
      const { offset, note } = await find(broker, topic.partitions[index]!, before, { target: request.target, nowMs })
      // Nobody would hear of it.
      if (signal.aborted) throw new ChronikError('GIVEN_UP', 'closed', 'who asked has gone')
      partitions.push({ topic: topic.name, partition: index, before, after: offset, note })
      offsets.push({ partition: index, offset, leaderEpoch: -1, metadata: '', expiresMs: -1 })
    }
    commits.push({ topicId: topic.id, partitions: offsets })
  }
  await broker.groups.whenSettled(groupId, async () => {
    // While records were searched, members may have come.
    refuseIfActive(broker, groupId, RESET)
    refuseUnless(broker.groups.mayKeep(groupId), 'there are as many groups as max-groups allows')
    if (dryRun) return
    const refused = await propose(broker, { kind: 'offsets-committed', groupId, topics: commits })
    if (refused !== null) refuseUnless(refused.code)
  })
  return { group: groupId, isNew, dryRun, partitions }
}

/** Which partitions, at least one. */
function choose(
  { log }: Broker,
  { group: id, choice }: ResetRequest,
  group: Group | undefined,
): { topic: Topic; indexes: readonly number[] }[] {
  if (choice === null) {
    const chosen = [...(group?.offsets ?? [])].map(([topicId, offsets]) => ({
      topic: log.state.topicsById.get(topicId)!,
      indexes: [...offsets.keys()].sort((a, b) => a - b),
    }))
    if (chosen.length > 0) return chosen.sort((a, b) => (a.topic.name < b.topic.name ? -1 : 1))
    const message = `group '${id}' has committed no offset: name the topic that it is to begin in, with --topic`
    throw new ChronikError(group === undefined ? 'GROUP_NOT_FOUND' : 'NO_OFFSETS', 'invalid', message)
  }
  const topic = log.state.topics.get(choice.topic)
  if (topic === undefined) throw new ChronikError('UNKNOWN_TOPIC', 'invalid', `there is no topic '${choice.topic}'`)
  const indexes = choice.partitions ?? topic.partitions.map(({ index }) => index)
  const unknown = indexes.find(index => topic.partitions[index] === undefined)
  if (unknown === undefined) return [{ topic, indexes: [...new Set(indexes)] }]
  const message = `topic '${topic.name}' has no partition ${unknown}: it has ${topic.partitions.length}`
  throw new ChronikError('UNKNOWN_PARTITION', 'invalid', message)
}

interface Found {
  readonly offset: number
  readonly note: string | null
}

async function find(
  { log }: Broker,
  partition: Partition,
  before: number | null,
  { target, nowMs }: { target: ResetTarget; nowMs: number },
): Promise<Found> {
  switch (target.kind) {
    case 'earliest':
      return { offset: partition.logStart, note: null }
    case 'latest':
      return { offset: highWatermark(log, partition), note: null }
    case 'offset':
      return within(log, partition, target.offset)
    case 'time':
      return firstFrom(log, partition, target.timestampMs)
    case 'age':
      return firstFrom(log, partition, nowMs - target.ageMs)
    case 'shift':
      if (before !== null) return within(log, partition, before + target.by)
      throw new ChronikError(
        'NO_OFFSETS',
        'invalid',
        `nothing was committed for partition ${partition.index} of '${partition.topic.name}' that could be shifted`,
      )
    default:
      return unreachable(target)
  }
}

function within(log: Log, partition: Partition, offset: number): Found {
  const { logStart } = partition
  const end = highWatermark(log, partition)
  if (offset < logStart) return { offset: logStart, note: `${offset} is before the first record that is left` }
  if (offset > end) return { offset: end, note: `${offset} is behind the end` }
  return { offset, note: null }
}

async function firstFrom(log: Log, partition: Partition, timestampMs: number): Promise<Found> {
  const found = await offsetForTimestamp(log, partition, timestampMs)
  const end = highWatermark(log, partition)
  return found === null || found.offset >= end
    ? { offset: end, note: 'no record is that new: the end' }
    : { offset: found.offset, note: null }
}
