// Run by lock.test.ts: takes the lock of the directory it is given, says how that went, and stays.

import { lockDirectory } from '#system/lock.ts'

try {
  await lockDirectory(process.argv[2]!)
  process.stdout.write('locked\n')
  process.stdin.resume()
} catch (error) {
  process.stdout.write(`${(error as { code: string }).code} ${(error as Error).message}\n`)
}
