import {
  type ApiId,
  bytes,
  type Decoded,
  type Encodable,
  int16,
  int64,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 36, name: 'SaslAuthenticate', versions: '0-2', flexibleFrom: 2 }

// v1: session lifetime in the response. v2: flexible.
export const SaslAuthenticateRequest = request(api, {
  authBytes: bytes(),
})
export type SaslAuthenticateRequest = Decoded<typeof SaslAuthenticateRequest>

// v1: session lifetime (KIP-368).
export const SaslAuthenticateResponse = response(api, {
  errorCode: int16(),
  errorMessage: string().nullable(),
  authBytes: bytes(),
  // 0: for ever.
  sessionLifetimeMs: int64('1+').default(0).ignorable(),
})
export type SaslAuthenticateResponse = Encodable<typeof SaslAuthenticateResponse>
