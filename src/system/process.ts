// What the rest may know of its own process and do to it. Nothing else reads or changes `process`.

import { hostname } from 'node:os'

export type StopSignal = 'SIGTERM' | 'SIGINT'

export interface SystemProcess {
  readonly pid: number
  readonly hostName: string
  readonly nodeVersion: string
  /** Without the names of node and of the script. */
  readonly commandArguments: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Whether a person reads the standard output. */
  readonly isTerminal: boolean
  /** Calls for each of these signals, instead of stopping at once. Returns what undoes it. */
  onStopSignal(call: (signal: StopSignal) => void): () => void
  /** Calls once for an error that nobody caught: a bug. The process must then stop. Returns what undoes it. */
  onUncaught(call: (error: unknown) => void): () => void
  memory(): { residentBytes: number; heapUsedBytes: number; externalBytes: number }
  /** Calls when nobody reads the standard output any more. What is printed from then on is lost, errors too. */
  onOutputClosed(call: () => void): void
  print(text: string): void
  printError(text: string): void
  exit(code: number): never
}

export const systemProcess: SystemProcess = {
  pid: process.pid,
  hostName: hostname(),
  nodeVersion: process.version,
  commandArguments: process.argv.slice(2),
  environment: process.env,
  isTerminal: process.stdout.isTTY === true,
  onStopSignal: call => {
    process.on('SIGTERM', call as NodeJS.SignalsListener).on('SIGINT', call as NodeJS.SignalsListener)
    return () => {
      process.off('SIGTERM', call as NodeJS.SignalsListener).off('SIGINT', call as NodeJS.SignalsListener)
    }
  },
  // A rejection that nobody handles arrives here too: Node raises it as an uncaught exception.
  onUncaught: call => {
    process.once('uncaughtException', call)
    return () => {
      process.off('uncaughtException', call)
    }
  },
  memory: () => {
    const { rss, heapUsed, external } = process.memoryUsage()
    return { residentBytes: rss, heapUsedBytes: heapUsed, externalBytes: external }
  },
  onOutputClosed: call => {
    process.stdout.on('error', call)
    process.stderr.on('error', () => {})
  },
  print: text => {
    process.stdout.write(text)
  },
  printError: text => {
    process.stderr.write(text)
  },
  exit: code => process.exit(code),
}
