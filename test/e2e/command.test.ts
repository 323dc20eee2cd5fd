// What the command says before anything runs, and when nothing can.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { keyOf, SETTING_NAMES } from '#config/settings.ts'
import { COMMAND_PATH } from '#test/support/broker-process.ts'
import { chronik } from '#test/support/command-line.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'

describe('chronik', () => {
  it('names its commands when no command or an unknown one is given', async () => {
    const [none, unknown] = await Promise.all([chronik(), chronik('stop')])
    expect(none).toMatchObject({ code: 2, stderr: '' })
    expect(none.stdout).toMatch(/\n {2}start .*\n {2}group .*\n {2}log .*\n {2}repair .*\n {2}restore .*\n {2}verify /)
    expect(unknown).toEqual({
      code: 2,
      stdout: '',
      stderr: "chronik: no command 'stop'. Commands: start, group, log, repair, restore, verify\n",
    })
  })

  it('explains a command and all of its options', async () => {
    const { code, stdout, stderr } = await chronik('start', '--help')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: chronik start /)
    for (const flag of ['config', ...SETTING_NAMES.map(keyOf)]) expect(stdout).toContain(`\n  --${flag} `)
  })

  it('goes quietly when nobody reads on what it prints', async () => {
    const child = spawn(process.execPath, [COMMAND_PATH, 'start', '--help'], { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    child.stderr.on('data', text => (said += text))
    child.stdout.destroy()
    await once(child, 'close')
    expect(said).toBe('')
  })
})

/** It must not start: nothing on the standard output, and lines for people. */
async function refusal(...args: string[]): Promise<{ code: number | null; lines: string[] }> {
  const { code, stdout, stderr } = await chronik(...args)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/\n$/)
  return { code, lines: stderr.trimEnd().split('\n') }
}

const FREE_PORTS = ['--kafka-port', '0', '--metrics-port', '0', '--bind-addr', '127.0.0.1']

describe('chronik start refuses', () => {
  it('unknown flags and bad values, all at once, a line each', async () => {
    expect(
      await refusal('start', '--kafka-prt', '1', '--kafka-port=abc', 'now', '--wal-sync', 'never', '--data-dir'),
    ).toEqual({
      code: 2,
      lines: [
        'chronik: --kafka-prt: unknown flag; did you mean --kafka-port?',
        'chronik: now: unexpected; settings are given as --name value',
        'chronik: --data-dir: needs a value',
        'chronik: --kafka-port: must be a port, 0 to 65535 (given: "abc")',
        'chronik: --wal-sync: must be always, or an interval of 1ms to 1m (given: "never")',
      ],
    })
  })

  it('unknown keys and bad values in the file, with their lines, and a file that is not there', async () => {
    const file = join(await temporaryDirectory(), 'chronik.yaml')
    await writeFile(file, 'kafka-prt: 1\nlog-level: loud\n')
    const [bad, missing] = await Promise.all([
      refusal('start', '--config', file),
      refusal('start', '--config', `${file}.none`),
    ])
    expect(bad.code).toBe(2)
    expect(bad.lines).toEqual([
      `chronik: ${file}:1: kafka-prt: unknown setting; did you mean kafka-port?`,
      expect.stringMatching(/^chronik: .*:2: log-level: must be one of trace, .*\(given: "loud"\)$/),
    ])
    expect(missing.code).toBe(2)
    expect(missing.lines).toEqual([expect.stringMatching(/\.none: cannot read the settings file: ENOENT/)])
  })

  it('a data directory that cannot be one', async () => {
    const file = join(await temporaryDirectory(), 'file')
    await writeFile(file, '')
    const { code, lines } = await refusal('start', ...FREE_PORTS, '--data-dir', join(file, 'below'))
    expect(code).toBe(1)
    const said = /^chronik: cannot make the data directory .*below.*: choose one that this user can write to$/
    expect(lines).toEqual([expect.stringMatching(said)])
  })

  it('a port that somebody has, and leaves the data directory free', async () => {
    const dataDir = await temporaryDirectory()
    const server = createServer()
    await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { port } = server.address() as { port: number }
    const ports = ['--kafka-port', '0', '--metrics-port', `${port}`]
    const { code, stdout, stderr } = await chronik('start', '--data-dir', dataDir, '--bind-addr', '127.0.0.1', ...ports)
    expect(code).toBe(1)
    expect(stderr).toBe(
      `chronik: cannot listen on 127.0.0.1:${port}: it is taken by another process: stop that one or choose another port\n`,
    )
    expect(stdout).not.toContain('"started"')
    expect(await readdir(dataDir)).not.toContain('lock.owner')
    expect(await readdir(dataDir)).not.toContain('chronik.sock')
  })
})

describe('chronik repair', () => {
  it('refuses a directory that no broker has worked on, in one line', async () => {
    const dataDir = await temporaryDirectory()
    const reason = `there is no log in ${dataDir}: name the data directory that a broker was started with`
    expect(await refusal('repair', '--data-dir', dataDir)).toEqual({ code: 1, lines: [`chronik repair: ${reason}`] })
    expect(await readdir(dataDir)).toEqual([])
  })
})
