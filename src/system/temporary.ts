import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TemporaryDirectory {
  readonly path: string
  /** Removes it with all that is in it. */
  remove(): Promise<void>
}

/** A new, empty directory that only this user can enter. */
export async function createTemporaryDirectory(): Promise<TemporaryDirectory> {
  const path = await fs.mkdtemp(join(tmpdir(), 'chronik-'))
  return { path, remove: () => fs.rm(path, { recursive: true, force: true }) }
}
