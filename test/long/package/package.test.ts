// What `npm publish` would publish, as its users get it: packed, installed into an empty directory, imported and run.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createTemporaryDirectory } from '#system/temporary.ts'
import { until } from '#test/support/until.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const run = promisify(execFile)

describe('the package', () => {
  let directory: string
  let packed: string[]

  beforeAll(async () => {
    const temporary = await createTemporaryDirectory()
    directory = temporary.path
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', directory], { cwd: root })
    // npm prints what the build says before its own JSON.
    const [{ filename, files }] = JSON.parse(stdout.slice(stdout.search(/^\[$/m)))
    packed = files.map((file: { path: string }) => file.path)
    await writeFile(join(directory, 'package.json'), '{ "private": true, "type": "module" }')
    await run('npm', ['install', '--prefer-offline', join(directory, filename)], { cwd: directory })
    return () => temporary.remove()
  })

  it('has what its users need, and no sources, tests or settings of ours', () => {
    const places = new Set(packed.map(path => path.split('/')[0]))
    expect(places).toEqual(new Set(['CHANGELOG.md', 'LICENSE', 'README.md', 'bin', 'dist', 'package.json']))
    expect(
      packed.filter(path => path.startsWith('dist/') && !/\.(js|d\.ts)$|^dist\/package\.json$/.test(path)),
    ).toEqual([])
  })

  it('starts a broker in the process that imports it', async () => {
    await writeFile(
      join(directory, 'embed.js'),
      `import { startChronik } from 'chronik-stream'
      const chronik = await startChronik()
      const ready = await fetch(\`http://\${chronik.metrics.host}:\${chronik.metrics.port}/health/ready\`)
      console.log(ready.status, chronik.kafka.address)
      await chronik.close()`,
    )
    const { stdout, stderr } = await run(process.execPath, ['embed.js'], { cwd: directory })
    expect(stdout).toMatch(/^200 127\.0\.0\.1:\d+\n$/)
    expect(stderr).toBe('')
  })

  it('has types', async () => {
    await writeFile(
      join(directory, 'embed.ts'),
      `import { startChronik } from 'chronik-stream'
      const chronik = await startChronik({ logLevel: 'warn' })
      const address: string = chronik.kafka.address
      // @ts-expect-error
      const wrong: number = address
      await chronik.close()`,
    )
    const compiler = join(root, 'node_modules/typescript/bin/tsc')
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'esnext', '--types', 'node']
    const typeRoots = ['--typeRoots', join(root, 'node_modules/@types')]
    const { stdout } = await run(process.execPath, [compiler, ...options, ...typeRoots, 'embed.ts'], { cwd: directory })
    expect(stdout).toBe('')
  })

  it('brings the command chronik, which starts and stops in order', async () => {
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    const command = join(directory, 'node_modules/.bin/chronik')
    expect((await run(command, ['--version'])).stdout).toBe(`chronik ${version}\n`)
    const flags = ['--data-dir', join(directory, 'data'), '--kafka-port', '0', '--metrics-port', '0']
    const broker = spawn(command, ['start', ...flags], { stdio: ['ignore', 'pipe', 'pipe'] })
    onTestFinished(() => void broker.kill('SIGKILL'))
    let said = ''
    for (const output of [broker.stdout, broker.stderr]) output.on('data', text => (said += text))
    await until('the broker listens', () => /localhost:\d+/.test(said))
    broker.kill('SIGTERM')
    const [code] = await once(broker, 'exit')
    expect(code).toBe(0)
  })
})
