// Real S3 servers on this machine.

import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { isMissing, runCommand } from '#test/support/commands.ts'
import { goTool } from '#test/support/go-tool.ts'
import { freeNeighbours, type PeerServer, startProcess } from '#test/support/peer-server.ts'

const RADOSGW = fileURLToPath(new URL('../../bench/peers/radosgw.sh', import.meta.url))
const MINIO = 'github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c'
const HOST = '127.0.0.1'

export interface S3Server extends PeerServer {
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
}

/** The gateway of Ceph, with so much memory for objects. */
export async function startRadosgw(gibibytes = 4): Promise<S3Server> {
  const missing = ['bash', 'apt-get', 'curl'].find(isMissing)
  if (missing !== undefined) throw new Error(`${missing} is not installed`)
  const directory = await mkdtemp(join(tmpdir(), 'radosgw-'))
  const port = await freeNeighbours(3)
  const run = (command: string, ...more: string[]) =>
    runCommand('bash', [RADOSGW, command, '--port', `${port}`, '--dir', directory, ...more])
  await run('start', '--gib', `${gibibytes}`)
  return {
    name: 'radosgw',
    endpoint: `http://${HOST}:${port}`,
    credentials: { accessKeyId: 'AKTEST', secretAccessKey: 'SKTEST' },
    close: async () => {
      await run('stop')
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Built from its sources, once. */
export async function startMinio(): Promise<S3Server> {
  const bin = await goTool('minio', MINIO, { takesMinutes: true })
  const credentials = { accessKeyId: 'AKTESTMINIO', secretAccessKey: 'SKTESTMINIO' }
  const port = await freeNeighbours(2)
  const server = await startProcess('minio', `http://${HOST}:${port}`, directory =>
    spawn(
      bin,
      ['server', directory, '--address', `${HOST}:${port}`, '--console-address', `${HOST}:${port + 1}`, '--quiet'],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...process.env,
          MINIO_ROOT_USER: credentials.accessKeyId,
          MINIO_ROOT_PASSWORD: credentials.secretAccessKey,
        },
      },
    ),
  )
  return { ...server, credentials }
}

export async function createBucket({ endpoint, credentials }: S3Server, bucket: string): Promise<void> {
  const client = new S3Client({ region: 'us-east-1', endpoint, credentials, forcePathStyle: true })
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  client.destroy()
}
