// What S3 says, and those who speak like it, as the errors of a store. The services differ in their codes: what is not known is
// told by its HTTP status.

import { ChronikError, messageOf, systemCodeOf } from '#base/errors.ts'
import { StoreError, type StoreErrorCode } from './store-errors.ts'

export interface S3Place {
  /** `s3://bucket/prefix`. */
  readonly place: string
  readonly bucket: string
  /** Where it is looked for: the endpoint, or AWS. */
  readonly endpoint: string
}

/** As far as it is known. */
interface S3Failure {
  readonly name?: string
  readonly Region?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> }
}

type Verdict = readonly [StoreErrorCode, string]

const WRONG_KEY: Verdict = ['STORE_DENIED', 'the access key is not known there: check AWS_ACCESS_KEY_ID']
const EXPIRED: Verdict = [
  'STORE_DENIED',
  'the session token is not valid, or no longer: renew AWS_SESSION_TOKEN with its keys',
]
const NO_CREDENTIALS: Verdict = [
  'STORE_DENIED',
  'there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role',
]
const FULL: Verdict = ['STORE_FULL', 'there is no room left: raise its quota or make room']
const BUSY: Verdict = ['STORE_UNAVAILABLE', 'it cannot answer now']

const BY_NAME: Readonly<Record<string, Verdict>> = {
  InvalidAccessKeyId: WRONG_KEY,
  SignatureDoesNotMatch: [
    'STORE_DENIED',
    'the secret key does not belong to the access key: check AWS_SECRET_ACCESS_KEY',
  ],
  AccessDenied: ['STORE_DENIED', 'this access key has no right to do that: let it read, write, list and delete there'],
  AllAccessDisabled: ['STORE_DENIED', 'the bucket is closed to everybody'],
  AccountProblem: ['STORE_DENIED', 'the account is closed'],
  ExpiredToken: EXPIRED,
  InvalidToken: EXPIRED,
  TokenRefreshRequired: EXPIRED,
  CredentialsProviderError: NO_CREDENTIALS,
  // The client learns the time there, so that the next attempt may succeed.
  RequestTimeTooSkewed: ['STORE_UNAVAILABLE', 'the clock of this machine differs from its clock: set it right'],
  InvalidBucketName: ['STORE_REFUSED', 'no bucket can have that name: check S3_BUCKET'],
  MethodNotAllowed: ['STORE_REFUSED', 'it does not allow that: is the bucket read-only, or its objects locked?'],
  InvalidObjectState: ['STORE_REFUSED', 'the object is archived: it must be restored first'],
  NotImplemented: ['STORE_REFUSED', 'it does not know how to do that'],
  BadDigest: ['STORE_UNAVAILABLE', 'the bytes were altered on their way'],
  XAmzContentChecksumMismatch: ['STORE_UNAVAILABLE', 'the bytes were altered on their way'],
  QuotaExceeded: FULL,
  ServiceQuotaExceededException: FULL,
  XMinioStorageFull: FULL,
  SlowDown: BUSY,
  TooManyRequests: BUSY,
  RequestTimeout: BUSY,
  OperationAborted: BUSY,
  ConditionalRequestConflict: BUSY,
  TimeoutError: ['STORE_UNAVAILABLE', 'it did not answer in time'],
}

const REGION_NAMES: ReadonlySet<string> = new Set([
  ...['PermanentRedirect', 'TemporaryRedirect', 'AuthorizationHeaderMalformed', 'IllegalLocationConstraintException'],
])

export function s3ErrorOf(thrown: unknown, where: S3Place): ChronikError {
  if (thrown instanceof ChronikError) return thrown
  const failure = thrown as S3Failure
  const { name = '' } = failure
  const status = failure.$metadata?.httpStatusCode ?? 0
  if (name === 'NoSuchBucket') return missingBucket(where, thrown)
  const [code, advice] = verdictOf(failure, status, thrown)
  const said = [
    status === 0 ? '' : `HTTP ${status}`,
    name === 'Error' || name === 'Unknown' ? '' : name,
    wordsOf(thrown),
  ]
  const text = said.filter(part => part !== '').join(' ')
  return new StoreError(code, `${where.place} at ${where.endpoint}: ${advice} (${text})`, thrown)
}

export function missingBucket({ bucket, endpoint }: S3Place, cause?: unknown): StoreError {
  const message = `there is no bucket ${bucket} at ${endpoint}: create it, or check S3_BUCKET and S3_ENDPOINT`
  return new StoreError('BUCKET_MISSING', message, cause)
}

export function notS3({ place, endpoint }: S3Place, reason: string, cause?: unknown): StoreError {
  const message = `${place} at ${endpoint}: what answers there does not speak S3 (${reason}): check S3_ENDPOINT`
  return new StoreError('STORE_REFUSED', message, cause)
}

function verdictOf(failure: S3Failure, status: number, thrown: unknown): Verdict {
  const { name = '' } = failure
  // Also where the answer began and its end did not come.
  if (systemCodeOf(thrown) !== '') return withoutAnswer(thrown)
  const region = failure.Region ?? failure.$response?.headers?.['x-amz-bucket-region']
  if (REGION_NAMES.has(name) || status === 301 || status === 307) {
    const right = region === undefined ? 'set S3_REGION to that of the bucket' : `set S3_REGION=${region}`
    return ['STORE_REFUSED', `the bucket is in another region: ${right}`]
  }
  const known = BY_NAME[name]
  if (known !== undefined) return known
  if (status === 0) return withoutAnswer(thrown)
  if (status === 507) return FULL
  if (status === 403 || status === 401) return ['STORE_DENIED', 'these credentials have no right to do that']
  if (status === 408 || status === 429 || (status >= 500 && status !== 501)) return BUSY
  return ['STORE_REFUSED', 'it does not accept the request']
}

/** What a connection fails with that another attempt will not mend. */
const CERTIFICATES = /CERT|^ERR_TLS|^ERR_SSL|^EPROTO$|SELF_SIGNED|UNABLE_TO_VERIFY/

function withoutAnswer(thrown: unknown): Verdict {
  const systemCode = systemCodeOf(thrown)
  if (CERTIFICATES.test(systemCode)) {
    return ['STORE_REFUSED', 'its certificate is not trusted, or it does not speak TLS: check S3_ENDPOINT']
  }
  if (systemCode === 'ENOTFOUND')
    return ['STORE_UNAVAILABLE', 'nobody knows that host: check S3_ENDPOINT and S3_REGION']
  if (systemCode === 'ECONNREFUSED') return ['STORE_UNAVAILABLE', 'nobody listens there: check S3_ENDPOINT']
  if (messageOf(thrown) === 'Region is missing') return ['STORE_REFUSED', 'no region is known: set S3_REGION']
  return ['STORE_UNAVAILABLE', 'it did not answer']
}

function wordsOf(thrown: unknown): string {
  const words = messageOf(thrown).split('\n', 1)[0]!
  return words === 'UnknownError' ? '' : words
}
