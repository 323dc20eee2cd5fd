import { RE2JS, RE2JSException } from 're2js'

// Regular expressions that clients send are RE2's, which Kafka takes: they are matched in time that grows with the text alone, so
// that none can hold the broker up (docs/decisions/regular-expressions.md).

/** Longest one that is taken. */
export const REGEX_MAX_LENGTH = 1024

export interface Regex {
  /** Does it match the whole text? */
  matches(text: string): boolean
}

/** Null: it is none. */
export function compileRegex(text: string): Regex | null {
  if (text.length > REGEX_MAX_LENGTH) return null
  try {
    return RE2JS.compile(text)
  } catch (thrown) {
    if (thrown instanceof RE2JSException) return null
    throw thrown
  }
}
