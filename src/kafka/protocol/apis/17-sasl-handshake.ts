import {
  type ApiId,
  array,
  type Decoded,
  type Encodable,
  int16,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 17, name: 'SaslHandshake', versions: '0-1', flexibleFrom: null }

// v0: raw SASL frames follow. v1: SaslAuthenticate requests follow.
export const SaslHandshakeRequest = request(api, {
  mechanism: string(),
})
export type SaslHandshakeRequest = Decoded<typeof SaslHandshakeRequest>

// The same in both versions.
export const SaslHandshakeResponse = response(api, {
  errorCode: int16(),
  mechanisms: array(string()),
})
export type SaslHandshakeResponse = Encodable<typeof SaslHandshakeResponse>
