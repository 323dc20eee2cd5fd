import {
  type ApiId,
  array,
  bool,
  type Decoded,
  type Encodable,
  int8,
  int16,
  int32,
  int64,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 27, name: 'WriteTxnMarkers', versions: '1-2', flexibleFrom: 1 }

// v2: transaction version (KIP-1228).
export const WriteTxnMarkersRequest = request(api, {
  markers: array({
    producerId: int64(),
    producerEpoch: int16(),
    transactionResult: bool(),
    topics: array({ name: string(), partitionIndexes: array(int32()) }),
    coordinatorEpoch: int32(),
    transactionVersion: int8('2+').default(0).ignorable(),
  }),
})
export type WriteTxnMarkersRequest = Decoded<typeof WriteTxnMarkersRequest>

// v2: as v1.
export const WriteTxnMarkersResponse = response(api, {
  markers: array({
    producerId: int64(),
    topics: array({
      name: string(),
      partitions: array({ partitionIndex: int32(), errorCode: int16() }),
    }),
  }),
})
export type WriteTxnMarkersResponse = Encodable<typeof WriteTxnMarkersResponse>
