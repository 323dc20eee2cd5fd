import { ChronikError, type ErrorKind } from '#base/errors.ts'

const kinds = {
  /** There is no such object. */
  OBJECT_MISSING: 'invalid',
  /** There is no such bucket, container or directory. */
  BUCKET_MISSING: 'invalid',
  /** Wrong credentials, or no right to do this. */
  STORE_DENIED: 'invalid',
  /** The store will never accept this request. */
  STORE_REFUSED: 'invalid',
  /** It did not answer, or said that it cannot now: worth another try. */
  STORE_UNAVAILABLE: 'unavailable',
  /** No space is left. */
  STORE_FULL: 'retry',
} as const satisfies Record<string, ErrorKind>

export type StoreErrorCode = keyof typeof kinds

export const STORE_ERROR_CODES = Object.keys(kinds) as StoreErrorCode[]

/** What a store says when it could not do what it was asked. */
export class StoreError extends ChronikError {
  declare readonly code: StoreErrorCode

  constructor(code: StoreErrorCode, message: string, cause?: unknown) {
    super(code, kinds[code], message, cause === undefined ? undefined : { cause })
  }
}

export function objectMissing(place: string, key: string, cause?: unknown): StoreError {
  return new StoreError('OBJECT_MISSING', `there is no object ${key} in ${place}`, cause)
}

/** What a call fails with that was cancelled. */
export function isCancelled(thrown: unknown, signal: AbortSignal): boolean {
  return signal.aborted && thrown === signal.reason
}
