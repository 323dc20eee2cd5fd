import {
  type ApiId,
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

const api: ApiId = { key: 26, name: 'EndTxn', versions: '0-5', flexibleFrom: 3 }

// v2: PRODUCER_FENCED. v4: TRANSACTION_ABORTABLE. v5: bumps the epoch (KIP-890).
export const EndTxnRequest = request(api, {
  transactionalId: string(),
  producerId: int64(),
  producerEpoch: int16(),
  committed: bool(),
})
export type EndTxnRequest = Decoded<typeof EndTxnRequest>

// v5: the producer id and epoch to go on with (KIP-890).
export const EndTxnResponse = response(api, {
  throttleTimeMs: int32().default(0),
  errorCode: int16(),
  producerId: int64('5+').default(-1).ignorable(),
  producerEpoch: int16('5+').default(-1).ignorable(),
})
export type EndTxnResponse = Encodable<typeof EndTxnResponse>
