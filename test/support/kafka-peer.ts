// Apache Kafka on this machine, by bench/peers/kafka.sh: what our behaviour is compared with.

import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePorts } from '#test/support/broker-process.ts'
import { isMissing, runCommand } from '#test/support/commands.ts'

const SCRIPT_PATH = fileURLToPath(new URL('../../bench/peers/kafka.sh', import.meta.url))
const HOST = '127.0.0.1'

/** Which of the commands that Kafka and its tools need is missing here, or null. */
export function missingForKafka(): string | null {
  return ['bash', 'java', 'mvn'].find(isMissing) ?? null
}

/** The jars of Kafka's broker and clients, or of another of its parts, as `java -cp` takes them. */
export async function kafkaClasspath(part: 'broker' | 'streams' | 'connect' = 'broker'): Promise<string> {
  return (await runCommand('bash', [SCRIPT_PATH, 'classpath', part])).trim()
}

export interface ToolRun {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** One of Kafka's command-line tools by its class. */
export async function runKafkaTool(className: string, args: readonly string[], input = ''): Promise<ToolRun> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      'bash',
      [SCRIPT_PATH, 'run', className, ...args],
      { maxBuffer: 64 * 1024 * 1024, timeout: 120_000 },
      (error, stdout, stderr) => {
        if (error === null) resolve({ code: 0, stdout, stderr })
        else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr })
        else reject(error)
      },
    )
    child.stdin!.end(input)
  })
}

export interface KafkaPeer {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

/** A Kafka of its own with an empty directory. */
export async function startKafkaPeer(): Promise<KafkaPeer> {
  const directory = await mkdtemp(join(tmpdir(), 'kafka-peer-'))
  const port = await portWithFreeNeighbour()
  await runCommand('bash', [SCRIPT_PATH, 'start', '--port', `${port}`, '--dir', directory])
  return {
    host: HOST,
    port,
    close: async () => {
      await runCommand('bash', [SCRIPT_PATH, 'stop', '--port', `${port}`, '--dir', directory])
      await rm(directory, { recursive: true, force: true })
    },
  }
}

// Its controller listens on the port behind the one that is asked for.
async function portWithFreeNeighbour(): Promise<number> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const [port] = await freePorts(1)
    if (await isFree(port! + 1)) return port!
  }
  throw new Error('no two free ports side by side')
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, HOST, () => server.close(() => resolve(true)))
  })
}
