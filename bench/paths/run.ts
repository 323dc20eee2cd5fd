import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** What a command prints. When it fails, the error says what it said. */
export async function output(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  try {
    return (await execute(command, args, options)).stdout
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim()
    throw new Error(said ? `${command} ${args[0] ?? ''}: ${said}` : `${command}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}
