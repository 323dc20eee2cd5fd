import type { Change } from '#core/change-records.ts'
import type { Outcome } from '#core/core.ts'
import type { Partition, State } from '#core/state.ts'
import type { SentBatch } from './batches.ts'

// What the log ought to be: the plain twin of `apply`. It keeps every batch and knows nothing of files, positions and time.

export type Verdict = 'accepted' | 'duplicate' | 'no partition' | 'fenced' | 'out of order'

interface ProducerModel {
  epoch: number
  batches: { first: number; last: number; baseOffset: number }[]
}

export interface KeptBatch {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly sent: SentBatch
}

export class PartitionModel {
  readonly ordinal: number
  readonly topic: TopicModel
  readonly index: number
  logStart = 0
  nextOffset = 0
  readonly batches: KeptBatch[] = []
  readonly producers = new Map<number, ProducerModel>()

  constructor(ordinal: number, topic: TopicModel, index: number) {
    this.ordinal = ordinal
    this.topic = topic
    this.index = index
  }

  /** Index of the batch that holds an offset. */
  indexOf(offset: number): number {
    let low = 0
    let high = this.batches.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      if (this.batches[middle]!.baseOffset <= offset) low = middle + 1
      else high = middle - 1
    }
    return high
  }
}

export interface TopicModel {
  readonly id: string
  readonly name: string
  configs: ReadonlyMap<string, string>
  readonly partitions: PartitionModel[]
}

export class Model {
  clusterId = ''
  nextProducerId = 0
  readonly topics = new Map<string, TopicModel>()
  readonly partitions: (PartitionModel | undefined)[] = []

  produce(sent: SentBatch): { verdict: Verdict; baseOffset: number } {
    const partition = this.partitions[sent.ordinal]
    if (partition === undefined) return { verdict: 'no partition', baseOffset: -1 }
    const { producerId, producerEpoch, baseSequence, recordCount } = sent.entry
    if (producerId >= 0) {
      const first = baseSequence
      const last = (baseSequence + recordCount - 1) % 2 ** 31
      const producer = partition.producers.get(producerId)
      if (producer !== undefined) {
        if (producerEpoch < producer.epoch) return { verdict: 'fenced', baseOffset: -1 }
        if (producerEpoch > producer.epoch && first !== 0) return { verdict: 'out of order', baseOffset: -1 }
        if (producerEpoch === producer.epoch) {
          const twice = producer.batches.find(batch => batch.first === first && batch.last === last)
          if (twice !== undefined) return { verdict: 'duplicate', baseOffset: twice.baseOffset }
          if (first !== (producer.batches.at(-1)!.last + 1) % 2 ** 31)
            return { verdict: 'out of order', baseOffset: -1 }
        }
      }
      const known = producer?.epoch === producerEpoch ? producer.batches : []
      const batches = [...known, { first, last, baseOffset: partition.nextOffset }].slice(-5)
      partition.producers.set(producerId, { epoch: producerEpoch, batches })
    }
    const baseOffset = partition.nextOffset
    partition.nextOffset += recordCount
    partition.batches.push({ baseOffset, nextOffset: partition.nextOffset, sent })
    return { verdict: 'accepted', baseOffset }
  }

  change(change: Change): Outcome {
    switch (change.kind) {
      case 'cluster-created':
        this.clusterId ||= change.clusterId
        return 'NONE'
      case 'topic-created': {
        const { id, name, configs } = change
        const isKnown = this.topics.has(id) || [...this.topics.values()].some(topic => topic.name === name)
        if (isKnown) return 'TOPIC_ALREADY_EXISTS'
        if (change.partitionCount < 1) return 'INVALID_PARTITIONS'
        const topic: TopicModel = { id, name, configs, partitions: [] }
        this.topics.set(id, topic)
        this.#grow(topic, change.partitionCount)
        return 'NONE'
      }
      case 'topic-deleted': {
        const topic = this.topics.get(change.id)
        this.topics.delete(change.id)
        for (const partition of topic?.partitions ?? []) this.partitions[partition.ordinal] = undefined
        return topic === undefined ? 'UNKNOWN_TOPIC_ID' : 'NONE'
      }
      case 'partitions-added': {
        const topic = this.topics.get(change.id)
        if (topic === undefined) return 'UNKNOWN_TOPIC_ID'
        if (change.partitionCount <= topic.partitions.length) return 'INVALID_PARTITIONS'
        this.#grow(topic, change.partitionCount)
        return 'NONE'
      }
      case 'topic-configs-set': {
        const topic = this.topics.get(change.id)
        if (topic !== undefined) topic.configs = change.configs
        return topic === undefined ? 'UNKNOWN_TOPIC_ID' : 'NONE'
      }
      case 'log-start-moved': {
        const partition = this.partitions[change.ordinal]
        if (partition === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
        partition.logStart = Math.max(partition.logStart, Math.min(change.offset, partition.nextOffset))
        return 'NONE'
      }
      case 'producer-ids-allocated':
        this.nextProducerId += change.count
        return 'NONE'
      case 'producers-expired':
        // Only ever proposed to expire all of them.
        for (const partition of this.partitions) partition?.producers.clear()
        return 'NONE'
      default:
        throw new Error(`the simulation does not propose ${change.kind}`)
    }
  }

  #grow(topic: TopicModel, count: number): void {
    while (topic.partitions.length < count) {
      const partition = new PartitionModel(this.partitions.length, topic, topic.partitions.length)
      this.partitions.push(partition)
      topic.partitions.push(partition)
    }
  }

  /** What is different in the state of a log; null if nothing is. */
  differenceTo(state: State): string | null {
    if (state.clusterId !== this.clusterId) return `cluster id ${state.clusterId}, not ${this.clusterId}`
    if (state.nextProducerId !== this.nextProducerId) return 'other producer ids were allocated'
    if (state.partitions.length !== this.partitions.length) return 'another number of partitions ever made'
    if (state.topics.size !== this.topics.size) return `${state.topics.size} topics, not ${this.topics.size}`
    for (const topic of this.topics.values()) {
      const found = state.topicsById.get(topic.id)
      if (found === undefined || found.name !== topic.name) return `no topic ${topic.name}`
      if (JSON.stringify([...found.configs]) !== JSON.stringify([...topic.configs])) return `configs of ${topic.name}`
      if (found.partitions.length !== topic.partitions.length) return `partitions of ${topic.name}`
      for (const partition of topic.partitions) {
        const difference = partitionDifference(partition, found.partitions[partition.index]!)
        if (difference !== null) return `${topic.name}-${partition.index}: ${difference}`
      }
    }
    return null
  }
}

function partitionDifference(model: PartitionModel, found: Partition): string | null {
  if (found.ordinal !== model.ordinal) return `ordinal ${found.ordinal}, not ${model.ordinal}`
  if (found.nextOffset !== model.nextOffset) return `ends at ${found.nextOffset}, not ${model.nextOffset}`
  if (found.logStart !== model.logStart) return `starts at ${found.logStart}, not ${model.logStart}`
  if ((found.producers?.size ?? 0) !== model.producers.size) return 'other producers'
  for (const [id, producer] of model.producers) {
    const known = found.producers?.get(id)
    if (known?.epoch !== producer.epoch) return `producer ${id} in another epoch`
    const batches = known.batches.map(({ firstSequence: first, lastSequence: last, baseOffset }) => ({
      first,
      last,
      baseOffset,
    }))
    if (JSON.stringify(batches) !== JSON.stringify(producer.batches)) return `other batches of producer ${id}`
  }
  return null
}
