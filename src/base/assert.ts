// We failed: the program is wrong, not its input and not the world. Nobody catches this; the process stops.
export class AssertionFailed extends Error {
  override readonly name = 'AssertionFailed'
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailed(message)
}

/** The compiler counts the cases of a union: this is reached only if a value lies about its type. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`unexpected value ${String(value)}`)
}
