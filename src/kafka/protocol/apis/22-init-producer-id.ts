import {
  type ApiId,
  type Decoded,
  type Encodable,
  int16,
  int32,
  int64,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 22, name: 'InitProducerId', versions: '0-5', flexibleFrom: 2 }

// v3: the producer id and epoch to be bumped (KIP-360). v4: PRODUCER_FENCED. v5: KIP-890.
export const InitProducerIdRequest = request(api, {
  transactionalId: string().nullable(),
  transactionTimeoutMs: int32(),
  producerId: int64('3+').default(-1),
  producerEpoch: int16('3+').default(-1),
})
export type InitProducerIdRequest = Decoded<typeof InitProducerIdRequest>

// v3: as the request.
export const InitProducerIdResponse = response(api, {
  throttleTimeMs: int32().default(0),
  errorCode: int16(),
  producerId: int64().default(-1),
  producerEpoch: int16(),
})
export type InitProducerIdResponse = Encodable<typeof InitProducerIdResponse>
