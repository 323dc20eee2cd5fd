// Idempotent producers of one partition (Kafka: ProducerStateEntry, ProducerAppendInfo). The last five batches of each are
// known, so that a retry is answered with the offset it got the first time.

export const KEPT_BATCHES = 5
export const NO_PRODUCER = -1
const MAX_SEQUENCE = 2147483647

export interface KeptBatch {
  firstSequence: number
  lastSequence: number
  baseOffset: number
  timestampMs: number
}

export interface Producer {
  epoch: number
  /** State time of the last accepted batch: what expiry goes by. */
  lastAppendMs: number
  /** Oldest first, at most KEPT_BATCHES. */
  batches: KeptBatch[]
}

export type ProducerCheck =
  | { kind: 'accept' }
  | { kind: 'duplicate'; batch: KeptBatch }
  | { kind: 'fenced' }
  | { kind: 'out-of-order' }

const ACCEPT: ProducerCheck = { kind: 'accept' }
const FENCED: ProducerCheck = { kind: 'fenced' }
const OUT_OF_ORDER: ProducerCheck = { kind: 'out-of-order' }

/** The sequence number `count` after another: they wrap to 0 behind 2^31 - 1. */
export function sequenceAfter(sequence: number, count: number): number {
  const next = sequence + count
  return next > MAX_SEQUENCE ? next - MAX_SEQUENCE - 1 : next
}

/** What a batch of a producer is to a partition: checked in Kafka's order. */
export function checkSequence(
  producer: Producer | undefined,
  epoch: number,
  firstSequence: number,
  recordCount: number,
): ProducerCheck {
  // Without state any sequence is taken: retention or expiry may have removed it.
  if (producer === undefined) return ACCEPT
  if (epoch < producer.epoch) return FENCED
  if (epoch > producer.epoch) return firstSequence === 0 ? ACCEPT : OUT_OF_ORDER
  const last = producer.batches.at(-1)
  // The marker of a transaction brought the epoch: what comes is the first batch with it.
  if (last === undefined) return firstSequence === 0 ? ACCEPT : OUT_OF_ORDER
  if (firstSequence === sequenceAfter(last.lastSequence, 1)) return ACCEPT
  const lastSequence = sequenceAfter(firstSequence, recordCount - 1)
  for (const batch of producer.batches) {
    if (batch.firstSequence === firstSequence && batch.lastSequence === lastSequence)
      return { kind: 'duplicate', batch }
  }
  return OUT_OF_ORDER
}

/**
 * Whether a batch that is out of order may follow others that were lost with the disk of the leader before: its producer has written
 * nothing since that one's records end, and goes forward.
 */
export function mayFollowLost(producer: Producer, epoch: number, firstSequence: number, endOfLeader: number): boolean {
  const last = producer.batches.at(-1)
  if (last === undefined || lastOffsetOfKept(last) >= endOfLeader) return false
  if (epoch !== producer.epoch) return epoch > producer.epoch
  const skipped = firstSequence - sequenceAfter(last.lastSequence, 1)
  return (skipped < 0 ? skipped + MAX_SEQUENCE + 1 : skipped) < MAX_SEQUENCE / 2
}

/** Remembers an accepted batch. */
export function rememberBatch(producer: Producer, epoch: number, batch: KeptBatch, timeMs: number): void {
  if (epoch !== producer.epoch) {
    producer.epoch = epoch
    producer.batches.length = 0
  }
  if (producer.batches.length === KEPT_BATCHES) producer.batches.shift()
  producer.batches.push(batch)
  producer.lastAppendMs = timeMs
}

/** Remembers the marker of a transaction: its epoch, with which the sequence begins anew (KIP-890). */
export function rememberMarker(producer: Producer, epoch: number): void {
  if (epoch === producer.epoch) return
  producer.epoch = epoch
  producer.batches.length = 0
}

/** Of the last record of a batch: its sequence numbers may have wrapped. */
export function lastOffsetOfKept({ baseOffset, firstSequence, lastSequence }: KeptBatch): number {
  const more = lastSequence - firstSequence
  return baseOffset + (more < 0 ? more + MAX_SEQUENCE + 1 : more)
}
