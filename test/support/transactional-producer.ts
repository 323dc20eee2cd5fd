import { expect } from 'vitest'
import type { Settings } from '#config/settings.ts'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from './broker-fixture.ts'

// A transactional producer, request by request, on a broker with one topic.

export const TOPIC = 'ledger'
export const ID = 'payments'
export const GROUP = 'readers'

export async function brokerWithTopic(overrides: Partial<Settings> = {}): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start({ groupInitialRebalanceDelayMs: 0, ...overrides })
  await fixture.createTopic(TOPIC, { partitions: 2 })
  return fixture
}

export async function begin(fixture: BrokerFixture, transactionTimeoutMs = 60_000, transactionalId = ID) {
  const answer = await fixture.ask('InitProducerId', 5, { transactionalId, transactionTimeoutMs })
  expect(errorName(answer.errorCode)).toBe('NONE')
  const { producerId, producerEpoch } = answer
  return { transactionalId, producerId, producerEpoch }
}

export type Producer = Awaited<ReturnType<typeof begin>>

/** As a producer of KIP-890 does. */
export function write(fixture: BrokerFixture, asking: Producer, baseSequence = 0, partition = 0) {
  const { transactionalId, producerId, producerEpoch } = asking
  expect(fixture.broker.transactions.mayProduce(transactionalId, producerId)).toBe('NONE')
  const producer = { producerId, producerEpoch, baseSequence, isTransactional: true }
  return fixture.append(TOPIC, [{ value: 'x' }], { ...producer, partition, joinsTransaction: true })
}

export async function end(fixture: BrokerFixture, producer: Producer, committed: boolean, version = 5) {
  const { errorCode, producerId, producerEpoch } = await fixture.ask('EndTxn', version, { ...producer, committed })
  return { error: errorName(errorCode), producerId, producerEpoch }
}

export async function addPartitions(fixture: BrokerFixture, producer: Producer, partitions: number[], version = 3) {
  const { resultsByTopicV3AndBelow } = await fixture.ask('AddPartitionsToTxn', version, {
    v3AndBelowTransactionalId: producer.transactionalId,
    v3AndBelowProducerId: producer.producerId,
    v3AndBelowProducerEpoch: producer.producerEpoch,
    v3AndBelowTopics: [{ name: TOPIC, partitions }],
  })
  return resultsByTopicV3AndBelow[0]!.resultsByPartition.map(result => errorName(result.partitionErrorCode))
}

export async function commitOffset(
  fixture: BrokerFixture,
  producer: Producer,
  fields: Record<string, unknown> = {},
  version = 5,
) {
  const partitions = [{ partitionIndex: 0, committedOffset: 7, committedMetadata: 'kept', ...fields }]
  const topics = [{ name: TOPIC, topicId: fixture.partition(TOPIC).topic.id, partitions }]
  const answer = await fixture.ask('TxnOffsetCommit', version, { groupId: GROUP, ...producer, ...fields, topics })
  return errorName(answer.topics[0]!.partitions[0]!.errorCode)
}

export async function offsetOf(fixture: BrokerFixture, requireStable = false) {
  const topics = [{ name: TOPIC, partitionIndexes: [0] }]
  const { groups } = await fixture.ask('OffsetFetch', 8, { groups: [{ groupId: GROUP, topics }], requireStable })
  const { errorCode, committedOffset, metadata } = groups[0]!.topics[0]!.partitions[0]!
  return errorCode === 0 ? { committedOffset, metadata } : errorName(errorCode)
}

export function fetch(fixture: BrokerFixture, isolationLevel: number, fetchOffset = 0, maxWaitMs = 0) {
  const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 10_000 }]
  const limits = { maxWaitMs, minBytes: 1, maxBytes: 10_000 }
  return fixture.begin('Fetch', 12, { ...limits, isolationLevel, topics: [{ topic: TOPIC, partitions }] })
}
