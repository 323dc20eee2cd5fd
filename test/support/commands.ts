import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024

export function isMissing(command: string): boolean {
  return spawnSync('which', [command]).status !== 0
}

/** Runs a command to its end and returns what it wrote; if it fails, its output is in the error. */
export async function runCommand(file: string, args: readonly string[], cwd?: string): Promise<string> {
  try {
    return (await execute(file, args, { cwd, maxBuffer: MAX_OUTPUT_BYTES })).stdout
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string }
    throw new Error(`${file} ${args.join(' ')} failed:\n${stdout ?? ''}${stderr ?? ''}`, { cause: error })
  }
}
