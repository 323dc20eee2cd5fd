import { readFileSync } from 'node:fs'

/** The text of a small file that a user named, such as the settings. */
export function readTextFile(path: string): string {
  return readFileSync(path, 'utf8')
}
