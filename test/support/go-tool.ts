import { join } from 'node:path'
import { isMissing, runCommand } from '#test/support/commands.ts'
import { cached } from '#test/support/tool-cache.ts'

/** The program of a Go module, built once. */
export async function goTool(name: string, module: string): Promise<string> {
  if (isMissing('go')) throw new Error('go is not installed')
  const directory = await cached(`${name}-${module.split('@')[1]}`, [], async built => {
    await runCommand('env', [`GOBIN=${built}`, 'go', 'install', module])
  })
  return join(directory, name)
}
