import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Mutant } from './mutants.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** All that a run needs. */
const COPIED = ['package.json', 'src', 'test/support', 'test/simulation']

export interface MutationResult {
  /** The seed that found it, or null. */
  readonly foundBy: number | null
  readonly output: string
}

/** The files that the bug changes, changed. It throws if the source is no longer what the bug was written for. */
export async function mutate({ name, changes }: Mutant): Promise<Map<string, string>> {
  const changed = new Map<string, string>()
  for (const { file, from, to } of changes) {
    const source = changed.get(file) ?? (await readFile(join(ROOT, file), 'utf8'))
    if (source.split(from).length !== 2) throw new Error(`${name}: ${file} does not have, once, ${from}`)
    changed.set(
      file,
      source.replace(from, () => to),
    )
  }
  return changed
}

/** Runs the simulation, in a process of its own, on a copy of the source that has the bug. */
export async function runMutant(mutant: Mutant, directory: string): Promise<MutationResult> {
  for (const path of COPIED) {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await cp(join(ROOT, path), join(directory, path), { recursive: true })
  }
  await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
  for (const [file, source] of await mutate(mutant)) await writeFile(join(directory, file), source)
  const script = join(directory, 'test/simulation/run.ts')
  return new Promise(resolve => {
    execFile(
      process.execPath,
      [script, '--of', mutant.of ?? 'log', '--from', '1', '--count', String(mutant.seeds)],
      { maxBuffer: 1 << 26 },
      (error, stdout, stderr) => {
        const seeds = [...stdout.matchAll(/^seed (\d+):/gm)]
        const output = `${stdout.slice(-3000)}${stderr.slice(-3000)}`
        resolve({ foundBy: error === null ? null : Number(seeds.at(-1)?.[1] ?? 0), output })
      },
    )
  })
}
