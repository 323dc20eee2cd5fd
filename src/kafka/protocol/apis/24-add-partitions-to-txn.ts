import {
  type ApiId,
  array,
  bool,
  type Decoded,
  type Encodable,
  int16,
  int32,
  int64,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 24, name: 'AddPartitionsToTxn', versions: '0-5', flexibleFrom: 3 }

const addPartitionsToTxnTopic = { name: string(), partitions: array(int32()) }

const addPartitionsToTxnPartitionResult = { partitionIndex: int32(), partitionErrorCode: int16() }

const addPartitionsToTxnTopicResult = { name: string(), resultsByPartition: array(addPartitionsToTxnPartitionResult) }

// v0-3: from clients. v4-5: from brokers, several transactions at once, or only verified (KIP-890).
export const AddPartitionsToTxnRequest = request(api, {
  transactions: array('4+', {
    transactionalId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    verifyOnly: bool().default(false),
    topics: array(addPartitionsToTxnTopic),
  }).default([]),
  v3AndBelowTransactionalId: string('0-3').default(''),
  v3AndBelowProducerId: int64('0-3').default(0),
  v3AndBelowProducerEpoch: int16('0-3').default(0),
  v3AndBelowTopics: array('0-3', addPartitionsToTxnTopic).default([]),
})
export type AddPartitionsToTxnRequest = Decoded<typeof AddPartitionsToTxnRequest>

// v4: an error for the whole, results by transaction.
export const AddPartitionsToTxnResponse = response(api, {
  throttleTimeMs: int32().default(0),
  errorCode: int16('4+').ignorable(),
  resultsByTransaction: array('4+', {
    transactionalId: string(),
    topicResults: array(addPartitionsToTxnTopicResult),
  }).default([]),
  resultsByTopicV3AndBelow: array('0-3', addPartitionsToTxnTopicResult).default([]),
})
export type AddPartitionsToTxnResponse = Encodable<typeof AddPartitionsToTxnResponse>
