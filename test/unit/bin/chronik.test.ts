import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { until } from '#test/support/until.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const hasPackagedNode = existsSync(join(root, 'node_modules/.bin/node'))

/** Makes the launcher believe that an older Node runs it. The Node that it starts in turn is not told. */
const pretend = (version: string) => [
  '--import',
  `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`,
]

function run(nodeArguments: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise(resolve => {
    const child = execFile(process.execPath, nodeArguments, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr })
    })
  })
}

describe('the command chronik', () => {
  const launcher = join(root, 'bin/chronik.js')

  it('runs the program', async () => {
    expect(await run([launcher, '--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^chronik \d/) })
  })

  it.runIf(hasPackagedNode)(
    'runs it in the Node of the dependencies when its own is too old, with arguments and exit code',
    async () => {
      for (const version of ['20.20.2', '22.17.1']) {
        const { code, stderr } = await run([...pretend(version), launcher, 'no-such-command', 'with space'])
        expect({ version, code }).toEqual({ version, code: 2 })
        expect(stderr).toContain('no-such-command')
      }
    },
  )

  it.runIf(hasPackagedNode)('passes a stop on to it, and waits until it has stopped in order', async () => {
    const flags = ['--data-dir', await temporaryDirectory(), '--kafka-port', '0', '--metrics-port', '0']
    const launched = spawn(process.execPath, [...pretend('20.20.2'), launcher, 'start', ...flags])
    onTestFinished(() => void launched.kill('SIGKILL'))
    let said = ''
    for (const output of [launched.stdout, launched.stderr]) output.on('data', text => (said += text))
    await until('the broker listens', () => /localhost:\d+/.test(said))
    launched.kill('SIGTERM')
    expect(await once(launched, 'exit')).toEqual([0, null])
  })

  it('says in one line what is missing when there is no other Node', async () => {
    const elsewhere = await temporaryDirectory()
    await cp(join(root, 'bin'), join(elsewhere, 'bin'), { recursive: true })
    await cp(join(root, 'package.json'), join(elsewhere, 'package.json'))
    for (const file of ['chronik.js', 'runtime.js']) {
      const { code, stderr } = await run([...pretend('20.20.2'), join(elsewhere, 'bin', file)])
      expect(code).toBe(1)
      expect(stderr).toMatch(/^chronik needs Node 22\.18 or newer.*this is 20\.20\.2.*\n$/)
    }
  })
})
