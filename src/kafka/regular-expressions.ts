import { RE2JS, RE2JSException } from 're2js'

// Regular expressions that clients send are RE2's, which Kafka takes: they are matched in time that grows with the text and with the
// program that they are compiled to, so both are limited (docs/decisions/regular-expressions.md).

/** Longest one that is taken. */
export const REGEX_MAX_LENGTH = 1024
/** Instructions: the worst of these takes 10 ms for the longest name of a topic. Counted repeats make them many. */
const REGEX_MAX_PROGRAM = 1000

export interface Regex {
  /** Does it match the whole text? */
  matches(text: string): boolean
  /** Instructions that it is compiled to. */
  programSize(): number
}

/** Null: it is none, or takes too much. */
export function compileRegex(text: string): Regex | null {
  if (text.length > REGEX_MAX_LENGTH) return null
  try {
    const regex = RE2JS.compile(text)
    return regex.programSize() > REGEX_MAX_PROGRAM ? null : regex
  } catch (thrown) {
    if (thrown instanceof RE2JSException) return null
    throw thrown
  }
}
