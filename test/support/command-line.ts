// `chronik` as it is typed: every command but a broker that keeps running, which broker-process.ts starts.

import { type SpawnOptions, spawn } from 'node:child_process'
import { COMMAND_PATH, environmentWithoutSettings } from '#test/support/broker-process.ts'

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export function chronik(...args: string[]): Promise<Ran> {
  return runToEnd(process.execPath, [COMMAND_PATH, ...args], { env: environmentWithoutSettings() })
}

/** Runs anything and takes whatever comes of it. */
export function runToEnd(file: string, args: readonly string[], options: SpawnOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    const texts = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.setEncoding('utf8').on('data', (text: string) => {
        texts[name] += text
      })
    }
    child.once('error', reject)
    child.once('close', code => resolve({ code, ...texts }))
  })
}
