import {
  type ApiId,
  array,
  type Decoded,
  type Encodable,
  int16,
  int32,
  int64,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 61, name: 'DescribeProducers', versions: '0', flexibleFrom: 0 }

// KIP-664.
export const DescribeProducersRequest = request(api, {
  topics: array({ name: string(), partitionIndexes: array(int32()) }),
})
export type DescribeProducersRequest = Decoded<typeof DescribeProducersRequest>

// KIP-664.
export const DescribeProducersResponse = response(api, {
  throttleTimeMs: int32().default(0),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      errorMessage: string().nullable().default(null),
      activeProducers: array({
        producerId: int64(),
        producerEpoch: int32(),
        lastSequence: int32().default(-1),
        lastTimestamp: int64().default(-1),
        coordinatorEpoch: int32(),
        currentTxnStartOffset: int64().default(-1),
      }),
    }),
  }),
})
export type DescribeProducersResponse = Encodable<typeof DescribeProducersResponse>
