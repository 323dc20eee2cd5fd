/** What the caller can do about it: the only thing an error handler may branch on, besides `code`. */
export type ErrorKind = 'retry' | 'invalid' | 'conflict' | 'unavailable' | 'corrupt' | 'closed' | 'internal'

/** The world failed (or the input did): a stable code for programs, a message that says what to do for people. */
export class ChronikError extends Error {
  override readonly name: string = 'ChronikError'
  readonly code: string
  readonly kind: ErrorKind

  constructor(code: string, kind: ErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
    this.kind = kind
  }
}

/** What is not damaged, but of a format that is younger than this program. */
export function writtenByNewer(code: string, what: string, format: { found: number; known: number }): ChronikError {
  const { found, known } = format
  const message = `${what} was written by a newer version (format ${found}, known is ${known}): upgrade first`
  return new ChronikError(code, 'invalid', message)
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** The system's error code (ENOSPC, EEXIST, ...) of anything that was thrown, or ''. */
export function systemCodeOf(thrown: unknown): string {
  const code = (thrown as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : ''
}
