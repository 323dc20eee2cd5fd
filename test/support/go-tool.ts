import { join } from 'node:path'
import { isMissing, runCommand } from '#test/support/commands.ts'
import { cached } from '#test/support/tool-cache.ts'

/** The program of a Go module, built once; one that takes minutes is not built where the time is limited. */
export async function goTool(name: string, module: string, { takesMinutes = false } = {}): Promise<string> {
  if (isMissing('go')) throw new Error('go is not installed')
  const directory = await cached(`${name}-${module.split('@')[1]}`, [], async built => {
    if (takesMinutes && process.env.CI !== undefined) throw new Error(`${name} is not built here, which takes minutes`)
    await runCommand('env', [`GOBIN=${built}`, 'go', 'install', module])
  })
  return join(directory, name)
}
