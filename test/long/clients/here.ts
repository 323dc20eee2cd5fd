import { fileURLToPath } from 'node:url'

/** The path of a file beside this one. */
export function here(relativePath: string): string {
  return fileURLToPath(new URL(relativePath, import.meta.url))
}
