import type { RangeSource } from '#object-store/range-source.ts'

/** For logs of which nothing is ever sealed. */
export const NO_STORE: RangeSource = {
  readRange: key => Promise.reject(new Error(`${key} is wanted of a log without a store`)),
  forget: async () => {},
}
