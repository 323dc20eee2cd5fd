import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { FIGURES, type Figure, type Figures } from './row.ts'
import { output } from './run.ts'

const SOURCE = fileURLToPath(new URL('../peers/load', import.meta.url))
/** For one run with its waiting and reading back: a broker that never answers is an error. */
const RUN_TIMEOUT_MS = 15 * 60_000
const LIBRDKAFKA = 'github.com/confluentinc/confluent-kafka-go/v2'

export type Flags = Readonly<Record<string, string | number | boolean>>

/** The line of JSON that the load program prints: see bench/peers/load/main.go. */
export type LoadResult = Readonly<Record<string, unknown>>

/** The load program, built outside the repository. */
export interface Load {
  readonly binary: string
  /** Why it came without librdkafka, if so. */
  readonly withoutLibrdkafka: string | undefined
}

export async function buildLoad(cacheDir: string): Promise<Load> {
  try {
    await output('go', ['version'])
  } catch (error) {
    throw new Error(
      'Go is not installed. The load generator (bench/peers/load) is written in Go; without it there is nothing to drive a broker with.',
      { cause: error },
    )
  }
  mkdirSync(cacheDir, { recursive: true })
  const binary = join(cacheDir, 'load')
  const withoutLibrdkafka = await output('gcc', ['--version']).then(
    () => undefined,
    () => 'gcc is not installed',
  )
  if (withoutLibrdkafka === undefined) await buildWithLibrdkafka(binary)
  else await output('go', ['build', '-o', binary, '.'], { cwd: SOURCE })
  return { binary, withoutLibrdkafka }
}

// The settings that librdkafka.go asks for.
async function buildWithLibrdkafka(binary: string): Promise<void> {
  const { Dir: module } = JSON.parse(await output('go', ['mod', 'download', '-json', LIBRDKAFKA], { cwd: SOURCE })) as {
    Dir: string
  }
  const bundle = join(module, 'kafka/librdkafka_vendor')
  const arch = (await output('go', ['env', 'GOARCH'])).trim()
  const env = {
    ...process.env,
    CGO_CFLAGS: `-O2 -I${bundle}`,
    CGO_LDFLAGS: `${join(bundle, `librdkafka_glibc_linux_${arch}.a`)} -lm -ldl -lpthread -lrt`,
  }
  await output('go', ['build', '-tags', 'librdkafka', '-o', binary, '.'], { cwd: SOURCE, env })
}

/** Runs one mode to its end. Lost or corrupt records are an error. `onLine` sees what it says meanwhile. */
export async function runLoad(
  load: Load,
  mode: string,
  flags: Flags,
  { signal, onLine = () => {} }: { signal: AbortSignal; onLine?: ((line: string) => void) | undefined },
): Promise<LoadResult> {
  const args = [mode, ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`)]
  const child = spawn(load.binary, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: AbortSignal.any([signal, AbortSignal.timeout(RUN_TIMEOUT_MS)]),
  })
  const said: string[] = []
  createInterface(child.stderr).on('line', line => {
    said.push(line)
    onLine(line)
  })
  const [printed, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
  if (code !== 0) throw new Error(`load ${args.join(' ')}:\n${said.join('\n')}`)
  return JSON.parse(printed) as LoadResult
}

export function figuresOf(result: LoadResult): Figures {
  const figures: Figures = {}
  for (const name of Object.keys(FIGURES) as Figure[]) {
    const value = result[name]
    if (typeof value === 'number') figures[name] = value
  }
  return figures
}

export function numberOf(result: LoadResult, name: string): number {
  const value = result[name]
  if (typeof value !== 'number') throw new Error(`the load program does not report ${name}`)
  return value
}
