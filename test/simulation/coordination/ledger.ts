import {
  ACCEPTED,
  DUPLICATE,
  FENCED,
  IN_TRANSACTION,
  NO_PARTITION,
  NO_TRANSACTIONAL_ID,
  NOT_IN_TRANSACTION,
  OUT_OF_ORDER,
} from '#core/core.ts'
import type { Generation } from '#core/groups.ts'
import { type BatchEntry, JOINS_TRANSACTION_BIT } from '#core/produce-record.kernel.ts'
import type { ProposedEnd } from '#log/log.ts'
import { isTransactional } from '#records/batch.ts'
import type { OffsetChange, StagedChange, StagedItem } from './staged.ts'

// What groups and transactions ought to be: the plain twin of `apply` for them. It keeps every batch with what became of it, and
// knows nothing of files and checkpoints.

export type Fate = 'plain' | 'open' | 'committed' | 'aborted' | 'marker'

export interface LedgerBatch {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly crc: number
  readonly producerId: number
  fate: Fate
}

interface SequenceState {
  epoch: number
  kept: { first: number; last: number; baseOffset: number }[]
}

interface AbortedRun {
  readonly producerId: number
  readonly first: number
  readonly last: number
}

export class LedgerPartition {
  readonly ordinal: number
  readonly topicId: string
  readonly index: number
  logStart = 0
  nextOffset = 0
  readonly batches: LedgerBatch[] = []
  readonly producers = new Map<number, SequenceState>()
  /** First offsets by producer id. */
  readonly open = new Map<number, number>()
  aborted: AbortedRun[] = []

  constructor(ordinal: number, topicId: string, index: number) {
    this.ordinal = ordinal
    this.topicId = topicId
    this.index = index
  }

  get stableOffset(): number {
    return this.open.size === 0 ? this.nextOffset : Math.max(this.logStart, Math.min(...this.open.values()))
  }

  at(offset: number): LedgerBatch | undefined {
    let [low, high] = [0, this.batches.length - 1]
    while (low <= high) {
      const middle = (low + high) >> 1
      if (this.batches[middle]!.baseOffset <= offset) low = middle + 1
      else high = middle - 1
    }
    return this.batches[high]
  }
}

export interface LedgerTransaction {
  producerId: number
  epoch: number
  previous: string
  phase: string
  readonly timeoutMs: number
  readonly partitions: Set<number>
  readonly groups: Set<string>
}

interface LedgerOffset {
  readonly offset: number
  readonly order: number
}

export interface LedgerGroup {
  saved: Generation | null
  readonly offsets: Map<string, LedgerOffset>
  readonly pending: Map<number, Map<string, LedgerOffset>>
}

const NOBODY = '-1/-1'
const nameOf = (producerId: number, epoch: number): string => `${producerId}/${epoch}`

export interface Applied {
  readonly outcome: string
  readonly baseOffset: number
  /** Of markers, by ordinal. */
  readonly markers: ReadonlyMap<number, number>
}

const applied = (outcome: string, baseOffset = -1, markers: ReadonlyMap<number, number> = new Map()): Applied => ({
  outcome,
  baseOffset,
  markers,
})

export class Ledger {
  readonly partitions: (LedgerPartition | undefined)[] = []
  readonly topics = new Map<string, { name: string; partitions: LedgerPartition[] }>()
  readonly transactions = new Map<string, LedgerTransaction>()
  readonly groups = new Map<string, LedgerGroup>()
  nextProducerId = 0
  #order = 0

  apply(item: StagedItem): Applied {
    switch (item.kind) {
      case 'batch':
        return this.#produce(item.entry)
      case 'end':
        return this.#end(item.end)
      case 'change':
        return applied(this.#change(item.change))
    }
  }

  // ---- batches

  #produce(entry: BatchEntry): Applied {
    const partition = this.partitions[entry.ordinal]
    if (partition === undefined) return applied(`${NO_PARTITION}`)
    const { producerId, recordCount, crc } = entry
    const ofTransaction = isTransactional(entry.attributes)
    if (producerId >= 0) {
      const refusal = ofTransaction ? this.#notInTransaction(entry) : partition.open.has(producerId) && IN_TRANSACTION
      if (refusal) return applied(`${refusal}`)
      const checked = checkSequence(partition, entry)
      if (checked.verdict !== ACCEPTED) return applied(`${checked.verdict}`, checked.baseOffset)
      remember(partition, entry)
    }
    const baseOffset = partition.nextOffset
    partition.nextOffset += recordCount
    const fate = ofTransaction ? 'open' : 'plain'
    partition.batches.push({ baseOffset, nextOffset: partition.nextOffset, crc, producerId, fate })
    if (ofTransaction) {
      const transaction = this.ownerOf(producerId)!
      transaction.phase = 'Ongoing'
      transaction.partitions.add(partition.ordinal)
      if (!partition.open.has(producerId)) partition.open.set(producerId, baseOffset)
    }
    return applied(`${ACCEPTED}`, baseOffset)
  }

  #notInTransaction({ producerId, producerEpoch, ordinal, attributes }: BatchEntry): number | false {
    const transaction = this.ownerOf(producerId)
    if (transaction === undefined) return NO_TRANSACTIONAL_ID
    if (transaction.epoch !== producerEpoch) return FENCED
    const joins = (attributes & JOINS_TRANSACTION_BIT) !== 0
    return !joins && !transaction.partitions.has(ordinal) && NOT_IN_TRANSACTION
  }

  ownerOf(producerId: number): LedgerTransaction | undefined {
    return [...this.transactions.values()].find(transaction => transaction.producerId === producerId)
  }

  // ---- transactions

  #end(end: ProposedEnd): Applied {
    const transaction = this.transactions.get(end.transactionalId)
    if (transaction?.producerId !== end.producerId) return applied('INVALID_PRODUCER_ID_MAPPING')
    if (transaction.epoch !== end.epoch) return applied('PRODUCER_FENCED')
    if (end.fences && transaction.phase !== 'Ongoing') return applied('INVALID_TXN_STATE')
    const isAll = end.ordinals.length === transaction.partitions.size
    if (!isAll || end.ordinals.some(ordinal => !transaction.partitions.has(ordinal))) {
      return applied('CONCURRENT_TRANSACTIONS')
    }
    const markers = new Map<number, number>()
    for (const ordinal of end.ordinals) markers.set(ordinal, this.#mark(this.partitions[ordinal]!, end))
    for (const groupId of transaction.groups) this.#endInGroup(groupId, end)
    transaction.partitions.clear()
    transaction.groups.clear()
    transaction.phase = end.isCommit ? 'CompleteCommit' : 'CompleteAbort'
    if (end.nextProducerId !== end.producerId || end.nextEpoch !== end.epoch) {
      transaction.previous = nameOf(end.producerId, end.epoch)
      transaction.producerId = end.nextProducerId
      transaction.epoch = end.nextEpoch
    }
    return applied('NONE', -1, markers)
  }

  #mark(partition: LedgerPartition, { producerId, markerEpoch, isCommit }: ProposedEnd): number {
    const offset = partition.nextOffset++
    const first = partition.open.get(producerId)
    partition.open.delete(producerId)
    if (first !== undefined) {
      for (const batch of partition.batches) {
        const isOfIt = batch.producerId === producerId && batch.fate === 'open'
        if (isOfIt) batch.fate = isCommit ? 'committed' : 'aborted'
      }
      if (!isCommit) partition.aborted.push({ producerId, first, last: offset })
    }
    partition.batches.push({ baseOffset: offset, nextOffset: offset + 1, crc: 0, producerId, fate: 'marker' })
    const producer = partition.producers.get(producerId)
    if (producer !== undefined && producer.epoch !== markerEpoch) {
      partition.producers.set(producerId, { epoch: markerEpoch, kept: [] })
    }
    return offset
  }

  #endInGroup(groupId: string, { producerId, isCommit }: ProposedEnd): void {
    const group = this.groups.get(groupId)
    const pending = group?.pending.get(producerId)
    group?.pending.delete(producerId)
    if (group === undefined || pending === undefined || !isCommit) return
    for (const [key, offset] of pending) {
      const isThere = this.topics.has(key.slice(0, key.lastIndexOf('#')))
      const known = group.offsets.get(key)
      if (isThere && (known === undefined || known.order < offset.order)) group.offsets.set(key, offset)
    }
  }

  // ---- changes

  #change(change: StagedChange): string {
    switch (change.kind) {
      case 'cluster-created':
        return 'NONE'
      case 'producer-ids-allocated':
        this.nextProducerId += change.count
        return 'NONE'
      case 'topic-created': {
        if ([...this.topics.values()].some(({ name }) => name === change.name)) return 'TOPIC_ALREADY_EXISTS'
        const partitions: LedgerPartition[] = []
        for (let index = 0; index < change.partitionCount; index++) {
          const partition = new LedgerPartition(this.partitions.length, change.id, index)
          partitions.push(partition)
          this.partitions.push(partition)
        }
        this.topics.set(change.id, { name: change.name, partitions })
        return 'NONE'
      }
      case 'topic-deleted':
        return this.#deleteTopic(change.id)
      case 'log-start-moved': {
        const partition = this.partitions[change.ordinal]
        if (partition === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
        const logStart = Math.max(partition.logStart, Math.min(change.offset, partition.nextOffset))
        partition.logStart = logStart
        partition.aborted = partition.aborted.filter(({ last }) => last >= logStart)
        return 'NONE'
      }
      case 'group-saved':
        this.#group(change.groupId).saved = change.saved
        return 'NONE'
      case 'offsets-committed': {
        const { offsets } = this.#group(change.groupId)
        const order = this.#order++
        for (const [key, offset] of offsetsOf(change)) {
          if (this.topics.has(key.slice(0, key.lastIndexOf('#')))) offsets.set(key, { offset, order })
        }
        return 'NONE'
      }
      case 'transactional-id-claimed':
      case 'transaction-joined':
      case 'transaction-offsets-committed':
        return this.#transact(change)
      default:
        throw new Error(`the simulation does not expect ${change.kind}`)
    }
  }

  #deleteTopic(id: string): string {
    const topic = this.topics.get(id)
    if (topic === undefined) return 'UNKNOWN_TOPIC_ID'
    this.topics.delete(id)
    for (const { ordinal } of topic.partitions) {
      this.partitions[ordinal] = undefined
      for (const transaction of this.transactions.values()) transaction.partitions.delete(ordinal)
    }
    for (const { offsets } of this.groups.values()) {
      for (const key of [...offsets.keys()]) if (key.startsWith(`${id}#`)) offsets.delete(key)
    }
    return 'NONE'
  }

  #transact(change: Extract<StagedChange, { kind: `transaction${string}` }>): string {
    switch (change.kind) {
      case 'transactional-id-claimed': {
        const { transactionalId, producerId, epoch, timeoutMs, isNamed } = change
        const found = this.transactions.get(transactionalId)
        const from = nameOf(change.fromProducerId, change.fromEpoch)
        const was = found === undefined ? NOBODY : nameOf(found.producerId, found.epoch)
        if (was !== from) return 'PRODUCER_FENCED'
        if (found?.phase === 'Ongoing') return 'CONCURRENT_TRANSACTIONS'
        const previous = isNamed ? was : NOBODY
        const made = { producerId, epoch, previous, phase: 'Empty', timeoutMs }
        this.transactions.set(transactionalId, { ...made, partitions: new Set(), groups: new Set() })
        return 'NONE'
      }
      case 'transaction-joined': {
        const transaction = this.transactions.get(change.transactionalId)
        if (transaction?.producerId !== change.producerId) return 'INVALID_PRODUCER_ID_MAPPING'
        if (transaction.epoch !== change.epoch) return 'PRODUCER_FENCED'
        transaction.phase = 'Ongoing'
        for (const ordinal of change.ordinals) {
          if (this.partitions[ordinal] !== undefined) transaction.partitions.add(ordinal)
        }
        for (const groupId of change.groupIds) transaction.groups.add(groupId)
        return 'NONE'
      }
      case 'transaction-offsets-committed': {
        const { groupId, producerId, epoch, joins } = change
        const transaction = this.ownerOf(producerId)
        if (transaction === undefined) return 'INVALID_PRODUCER_ID_MAPPING'
        if (transaction.epoch !== epoch) return 'PRODUCER_FENCED'
        if (!joins && !transaction.groups.has(groupId)) return 'INVALID_TXN_STATE'
        transaction.phase = 'Ongoing'
        transaction.groups.add(groupId)
        const { pending } = this.#group(groupId)
        const offsets = pending.get(producerId) ?? new Map<string, LedgerOffset>()
        pending.set(producerId, offsets)
        const order = this.#order++
        for (const [key, offset] of offsetsOf(change)) offsets.set(key, { offset, order })
        return 'NONE'
      }
      default:
        throw new Error(`the simulation does not expect ${change.kind}`)
    }
  }

  #group(id: string): LedgerGroup {
    const group = this.groups.get(id) ?? { saved: null, offsets: new Map(), pending: new Map() }
    this.groups.set(id, group)
    return group
  }
}

function offsetsOf({ topics }: OffsetChange): [key: string, offset: number][] {
  return topics.flatMap(({ topicId, partitions }) =>
    partitions.map(({ partition, offset }): [string, number] => [`${topicId}#${partition}`, offset]),
  )
}

function checkSequence(partition: LedgerPartition, entry: BatchEntry): { verdict: number; baseOffset: number } {
  const { producerId, producerEpoch: epoch, baseSequence: first, recordCount, attributes } = entry
  const producer = partition.producers.get(producerId)
  const verdict = (code: number, baseOffset = -1) => ({ verdict: code, baseOffset })
  if (producer === undefined) {
    const mustBegin = (attributes & JOINS_TRANSACTION_BIT) !== 0 && isTransactional(attributes)
    return verdict(mustBegin && first !== 0 ? OUT_OF_ORDER : ACCEPTED)
  }
  if (epoch < producer.epoch) return verdict(FENCED)
  const last = producer.kept.at(-1)
  if (epoch > producer.epoch || last === undefined) return verdict(first === 0 ? ACCEPTED : OUT_OF_ORDER)
  const twice = producer.kept.find(kept => kept.first === first && kept.last === first + recordCount - 1)
  if (twice !== undefined) return verdict(DUPLICATE, twice.baseOffset)
  return verdict(first === last.last + 1 ? ACCEPTED : OUT_OF_ORDER)
}

function remember(partition: LedgerPartition, entry: BatchEntry): void {
  const { producerId, producerEpoch, baseSequence, recordCount } = entry
  const known = partition.producers.get(producerId)
  const kept = known?.epoch === producerEpoch ? known.kept : []
  const batch = { first: baseSequence, last: baseSequence + recordCount - 1, baseOffset: partition.nextOffset }
  partition.producers.set(producerId, { epoch: producerEpoch, kept: [...kept, batch].slice(-5) })
}
