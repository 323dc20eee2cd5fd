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

const api: ApiId = { key: 25, name: 'AddOffsetsToTxn', versions: '0-4', flexibleFrom: 3 }

// v2: PRODUCER_FENCED. v4: TRANSACTION_ABORTABLE (KIP-890).
export const AddOffsetsToTxnRequest = request(api, {
  transactionalId: string(),
  producerId: int64(),
  producerEpoch: int16(),
  groupId: string(),
})
export type AddOffsetsToTxnRequest = Decoded<typeof AddOffsetsToTxnRequest>

// v2: PRODUCER_FENCED. v4: TRANSACTION_ABORTABLE.
export const AddOffsetsToTxnResponse = response(api, {
  throttleTimeMs: int32().default(0),
  errorCode: int16(),
})
export type AddOffsetsToTxnResponse = Encodable<typeof AddOffsetsToTxnResponse>
