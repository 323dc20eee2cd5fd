import {
  type ApiId,
  array,
  type Decoded,
  type Encodable,
  int8,
  int16,
  int32,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 50, name: 'DescribeUserScramCredentials', versions: '0', flexibleFrom: 0 }

// Null or no users mean all (KIP-554).
export const DescribeUserScramCredentialsRequest = request(api, {
  users: array({ name: string() }).nullable(),
})
export type DescribeUserScramCredentialsRequest = Decoded<typeof DescribeUserScramCredentialsRequest>

// Mechanism 1 is SCRAM-SHA-256, 2 is SCRAM-SHA-512.
export const DescribeUserScramCredentialsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  errorCode: int16(),
  errorMessage: string().nullable(),
  results: array({
    user: string(),
    errorCode: int16(),
    errorMessage: string().nullable(),
    credentialInfos: array({ mechanism: int8(), iterations: int32() }),
  }),
})
export type DescribeUserScramCredentialsResponse = Encodable<typeof DescribeUserScramCredentialsResponse>
