import { onTestFinished } from 'vitest'
import { createTemporaryDirectory } from '#system/temporary.ts'

/** A directory for one test, removed after it. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await createTemporaryDirectory()
  onTestFinished(() => directory.remove())
  return directory.path
}
