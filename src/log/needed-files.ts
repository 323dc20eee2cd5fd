import { ChronikError } from '#base/errors.ts'
import type { WalFile } from '#commit/wal-files.ts'
import type { State } from '#core/state.ts'

/** Start positions of files that some partition needs and that are not there. */
export function missingFiles(state: State, files: readonly WalFile[]): number[] {
  const there = new Set(files.map(file => file.position))
  return [...state.extentsOfFile.keys()].filter(position => !there.has(position))
}

/** Refuses a log of which files are missing. */
export function requireFiles(state: State, files: readonly WalFile[], directory: string): void {
  const [position] = missingFiles(state, files)
  if (position === undefined) return
  throw new ChronikError(
    'WAL_FILE_MISSING',
    'corrupt',
    `a file of the log in ${directory} is missing: the one that begins at position ${position}. Put it back, or run 'chronik repair'`,
  )
}
