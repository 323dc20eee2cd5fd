// Where client libraries of other languages, and servers, are installed and built, once per version: they outlive the checkout's
// clean-ups.

import { createHash } from 'node:crypto'
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * The directory that `build` has filled for exactly these contents of the files: built if there is none, used again if there is.
 */
export async function cached(
  name: string,
  files: readonly string[],
  build: (directory: string) => Promise<void>,
): Promise<string> {
  const hash = createHash('sha256')
  for (const file of files) hash.update(await readFile(file))
  const root = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  const directory = join(root, 'chronik-test-clients', `${name}-${hash.digest('hex').slice(0, 16)}`)
  const done = join(directory, '.complete')
  if (await exists(done)) return directory
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  await build(directory)
  await writeFile(done, '')
  return directory
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
