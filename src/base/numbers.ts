import { assert } from './assert.ts'

// Numbers that must not be mixed up. All are whole and below 2^53.

declare const brand: unique symbol
type Branded<Name extends string> = number & { readonly [brand]: Name }

/** Of a record within its partition, from 0. */
export type Offset = Branded<'Offset'>
/** Of a byte in the commit log, over all of its files, from 0; never reused. */
export type Position = Branded<'Position'>
/** Of a partition among all partitions there ever were; never reused. */
export type PartitionOrdinal = Branded<'PartitionOrdinal'>

export function isWhole(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

export function asOffset(value: number): Offset {
  assert(isWhole(value), 'an offset is a whole number')
  return value as Offset
}

export function asPosition(value: number): Position {
  assert(isWhole(value), 'a log position is a whole number')
  return value as Position
}

export function asOrdinal(value: number): PartitionOrdinal {
  assert(isWhole(value), 'a partition ordinal is a whole number')
  return value as PartitionOrdinal
}

/** Of 32 bits, always eight digits. */
export function hexadecimal(value: number): string {
  return value.toString(16).padStart(8, '0')
}
