import {
  type ApiId,
  array,
  bytes,
  type Decoded,
  type Encodable,
  int8,
  int16,
  int32,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 51, name: 'AlterUserScramCredentials', versions: '0', flexibleFrom: 0 }

// Mechanism 1 is SCRAM-SHA-256, 2 is SCRAM-SHA-512 (KIP-554).
export const AlterUserScramCredentialsRequest = request(api, {
  deletions: array({ name: string(), mechanism: int8() }),
  upsertions: array({
    name: string(),
    mechanism: int8(),
    iterations: int32(),
    salt: bytes(),
    saltedPassword: bytes(),
  }),
})
export type AlterUserScramCredentialsRequest = Decoded<typeof AlterUserScramCredentialsRequest>

// One result for each user.
export const AlterUserScramCredentialsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  results: array({ user: string(), errorCode: int16(), errorMessage: string().nullable() }),
})
export type AlterUserScramCredentialsResponse = Encodable<typeof AlterUserScramCredentialsResponse>
