import type { RangeSource } from '#log/segment-reader.ts'

/** For logs of which nothing is ever sealed. */
export const NO_STORE: RangeSource = {
  getRange: key => Promise.reject(new Error(`${key} is wanted of a log without a store`)),
}
