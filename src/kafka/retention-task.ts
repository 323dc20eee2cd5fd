import { messageOf } from '#base/errors.ts'
import type { Timer } from '#base/ports.ts'
import { Walk } from '#base/walk.ts'
import type { Change } from '#core/change-records.ts'
import type { Partition } from '#core/state.ts'
import { retainedFrom } from '#log/retention.ts'
import type { Broker } from './broker.ts'
import { expiredOffsets } from './coordinator/offset-expiry.ts'

// What time alone brings about: records that have been kept long enough go, and so does what is remembered of producers that
// fell silent. Both are changes of the state like any other, proposed from here.

/** Kafka: producer.id.expiration.check.interval.ms */
const PRODUCER_CHECK_INTERVAL_MS = 600_000
/** Kafka: offsets.retention.check.interval.ms */
const OFFSETS_CHECK_INTERVAL_MS = 600_000
/** Kafka: transaction.remove.expired.transaction.cleanup.interval.ms */
const TRANSACTIONAL_IDS_CHECK_INTERVAL_MS = 3_600_000
/** Log starts that are moved at once: the next ones are proposed when these are in force. */
const MOVES_AT_ONCE = 256
/** Groups or ids that are looked at before others get their turn: well below a millisecond. */
const LOOKS_IN_A_TURN = 100

/** Begins; ends with the call that is returned, which resolves when nothing more is proposed. */
export function startRetention(broker: Broker): () => Promise<void> {
  const records = every(broker, broker.settings.retentionCheckIntervalMs, mayGoOn => moveLogStarts(broker, mayGoOn))
  const producers = every(broker, PRODUCER_CHECK_INTERVAL_MS, () => expireProducers(broker))
  const offsets = every(broker, OFFSETS_CHECK_INTERVAL_MS, mayGoOn => expireOffsets(broker, mayGoOn))
  const transactionalIds = every(broker, TRANSACTIONAL_IDS_CHECK_INTERVAL_MS, mayGoOn =>
    expireTransactionalIds(broker, mayGoOn),
  )
  return async () => {
    await Promise.all([records(), producers(), offsets(), transactionalIds()])
  }
}

/**
 * Does the work at intervals, which begin anew when it is done. What fails is tried again the next time. `mayGoOn` is false once
 * it is to end.
 */
function every(
  { clock, logger }: Broker,
  intervalMs: number,
  work: (mayGoOn: () => boolean) => Promise<void>,
): () => Promise<void> {
  let ended = false
  let timer: Timer | null = null
  let working = Promise.resolve()
  const wait = (): void => {
    timer = clock.after(intervalMs, () => {
      working = work(() => !ended)
        .catch(thrown => logger.warn(`retention failed, it is tried again: ${messageOf(thrown)}`))
        .finally(() => {
          if (!ended) wait()
        })
    })
  }
  wait()
  return () => {
    ended = true
    timer?.cancel()
    return working
  }
}

async function moveLogStarts(broker: Broker, mayGoOn: () => boolean): Promise<void> {
  const { log, clock, topicRules } = broker
  const nowMs = clock.nowMs()
  const walk = new Walk(clock)
  let moves: Change[] = []
  for (const partition of [...log.state.partitions]) {
    if (walk.stepped(1 + (partition?.segments.length ?? 0))) await walk.rest()
    if (!mayGoOn()) return
    if (partition === undefined || partition.logStart === partition.nextOffset) continue
    const { config } = topicRules.of(partition.topic)
    if (!config.deletes) continue
    const offset = retainedFrom(partition, config, nowMs)
    if (offset <= partition.logStart) continue
    moves.push({ kind: 'log-start-moved', ordinal: partition.ordinal, offset })
    if (moves.length < MOVES_AT_ONCE) continue
    await proposeAll(broker, moves)
    moves = []
  }
  if (mayGoOn()) await proposeAll(broker, moves)
}

async function expireProducers(broker: Broker): Promise<void> {
  const { log, clock, settings } = broker
  const lastAppendBeforeMs = clock.nowMs() - settings.producerIdExpirationMs
  if (!log.state.partitions.some(partition => hasSilentProducer(partition, lastAppendBeforeMs))) return
  await proposeAll(broker, [{ kind: 'producers-expired', lastAppendBeforeMs }])
}

function hasSilentProducer(partition: Partition | undefined, lastAppendBeforeMs: number): boolean {
  for (const producer of partition?.producers?.values() ?? []) {
    if (producer.lastAppendMs < lastAppendBeforeMs) return true
  }
  return false
}

async function expireTransactionalIds(broker: Broker, mayGoOn: () => boolean): Promise<void> {
  const { log, clock, settings } = broker
  const unusedBeforeMs = clock.nowMs() - settings.transactionalIdExpirationMs
  await proposeEach(broker, log.state.transactions.values(), mayGoOn, transaction => {
    const { id, producerId, epoch, isOngoing, updatedMs } = transaction
    if (isOngoing || updatedMs >= unusedBeforeMs) return null
    return { kind: 'transactional-id-removed', transactionalId: id, producerId, epoch }
  })
}

async function expireOffsets(broker: Broker, mayGoOn: () => boolean): Promise<void> {
  const { log, clock, groups, settings } = broker
  const time = { nowMs: clock.nowMs(), retentionMs: settings.offsetsRetentionMs }
  await proposeEach(broker, log.state.groups.values(), mayGoOn, group => {
    const described = groups.expiryView(group.id)
    if (described === null) return null
    const isNameSubscribed = groups.subscriptions(group.id)
    const isSubscribed = (topicId: string): boolean => isNameSubscribed(log.state.topicsById.get(topicId)?.name ?? '')
    const expired = expiredOffsets(group, described, isSubscribed, time)
    if (expired.topics.length === 0 && !expired.removesGroup) return null
    return { kind: 'offsets-expired', groupId: group.id, foundAt: log.state.commitCount, ...expired }
  })
  groups.forgetUnused()
}

/** Looks at one after the other, in turns that leave the thread to others, and proposes what is to change, many at once. */
async function proposeEach<T>(
  broker: Broker,
  all: Iterable<T>,
  mayGoOn: () => boolean,
  look: (one: T) => Change | null,
): Promise<void> {
  let changes: Change[] = []
  let seen = 0
  for (const one of [...all]) {
    if (!mayGoOn()) return
    const change = look(one)
    if (change !== null) changes.push(change)
    if (++seen % LOOKS_IN_A_TURN === 0) await new Promise<void>(resolve => broker.clock.soon(resolve))
    if (changes.length < MOVES_AT_ONCE) continue
    await proposeAll(broker, changes)
    changes = []
  }
  if (mayGoOn()) await proposeAll(broker, changes)
}

async function proposeAll({ log }: Broker, changes: readonly Change[]): Promise<void> {
  await Promise.all(changes.map(change => log.propose(change)))
}
