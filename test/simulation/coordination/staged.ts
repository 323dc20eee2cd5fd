import type { Change } from '#core/change-records.ts'
import type { BatchEntry } from '#core/produce-record.kernel.ts'
import type { ProposedEnd } from '#log/log.ts'

// What was given to the log, in the order in which it was: what it applies must be this, one after the other.

export type StagedChange = Exclude<Change, { kind: 'transaction-ended' }>
export type OffsetChange = Extract<Change, { kind: 'offsets-committed' | 'transaction-offsets-committed' }>

export type StagedItem =
  | { readonly kind: 'batch'; readonly entry: BatchEntry }
  | { readonly kind: 'change'; readonly change: StagedChange }
  | { readonly kind: 'end'; readonly end: ProposedEnd }
