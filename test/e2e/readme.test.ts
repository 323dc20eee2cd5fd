// What README.md tells a newcomer to type does what it says. Commands that install are another test's: test/long/package.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startBrokerProcess } from '#test/support/broker-process.ts'
import { runToEnd } from '#test/support/command-line.ts'
import { isMissing } from '#test/support/commands.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

let readme = ''
let scripts: Record<string, string> = {}

beforeAll(async () => {
  readme = await readFile(join(root, 'README.md'), 'utf8')
  scripts = (JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { scripts: typeof scripts }).scripts
})

function blocks(language: string): string[] {
  const found = readme.matchAll(new RegExp(`^( *)\`\`\`${language}\\n(.*?)^ *\`\`\`$`, 'gms'))
  return [...found].map(([, indent = '', text = '']) => text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''))
}

/** `npm ...` in running text. */
function inlineCommands(): string[] {
  return [...readme.matchAll(/`(npm [^`\n]+)`/g)].map(([, command = '']) => command)
}

/** The words that follow `node bin/chronik.js` when npm runs the script. */
function argumentsOf(command: string): string[] {
  const [, name = '', rest = ''] = /^npm (?:run )?(\S+)(?: -- (.*))?$/.exec(command) ?? []
  const [node, launcher, ...own] = scripts[name]?.split(' ') ?? []
  expect([node, launcher]).toEqual(['node', 'bin/chronik.js'])
  return [...own, ...rest.split(' ').filter(word => word !== '')]
}

describe('the README', () => {
  it('names scripts that package.json has', () => {
    const commands = [
      ...blocks('sh')
        .join('\n')
        .matchAll(/npm [a-z:\- ]+/g),
    ].map(([command]) => command)
    const named = [...inlineCommands(), ...commands].map(command => /^npm (?:run )?([a-z:]+)/.exec(command)?.[1] ?? '')
    expect(named.length).toBeGreaterThan(5)
    for (const name of named) if (name !== 'ci') expect(Object.keys(scripts)).toContain(name)
  })

  it('has first commands that work, a dump of what they did, and a look at the log', async context => {
    const dataDir = await temporaryDirectory()
    const broker = await startBrokerProcess({ dataDir, flags: ['--bind-addr', '0.0.0.0'] })
    onTestFinished(() => broker.remove())
    const lines = blocks('sh').flatMap(block => block.trimEnd().split('\n'))
    const here = (line: string) =>
      line.replaceAll(':9092', `:${broker.kafka.port}`).replaceAll(':9090', `:${broker.metricsPort}`)
    const commands = lines.filter(line => !line.startsWith('npm '))
    expect(commands.map(command => /\b(kcat|curl)\b/.exec(command)?.[1])).toEqual(['kcat', 'kcat', 'curl'])
    const tool = isMissing('kcat') ? 'kcat' : isMissing('curl') ? 'curl' : null
    if (tool !== null) return context.skip(`${tool} is not installed`)
    const said: string[] = []
    for (const command of commands) {
      const { code, stdout } = await runToEnd('sh', ['-c', here(command)])
      expect({ command, code }).toEqual({ command, code: 0 })
      said.push(stdout)
    }
    expect(said.slice(0, 2)).toEqual(['', 'hello\n'])
    expect(JSON.parse(said[2]!)).toEqual({ status: 'ready' })

    const [dump, repair] = ['log dump', 'repair'].map(words => {
      const command = inlineCommands().find(inline => inline.includes(` ${words} `)) ?? ''
      expect(command).toContain('--data-dir ./data')
      return [join(root, 'bin/chronik.js'), ...argumentsOf(command).map(word => (word === './data' ? dataDir : word))]
    })
    const dumped = await runToEnd(process.execPath, dump!)
    const types = dumped.stdout
      .trimEnd()
      .split('\n')
      .map(line => (JSON.parse(line) as { type: string }).type)
    expect(types).toEqual(['cluster-created', 'topic-created', 'produced'])
    await broker.stop()
    expect(await runToEnd(process.execPath, repair!)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('is sound'),
    })
  })

  it('names a way to the help', async () => {
    const command = inlineCommands().find(inline => inline.endsWith('--help')) ?? ''
    const { code, stdout } = await runToEnd(process.execPath, [join(root, 'bin/chronik.js'), ...argumentsOf(command)])
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^Usage: chronik start /) })
  })

  it('has a program that starts a broker inside it, and ends', async () => {
    const [snippet = '', ...others] = blocks('js')
    expect(others).toEqual([])
    const script = join(await temporaryDirectory(), 'snippet.mjs')
    const sources = new URL('../../src/server/embed.ts', import.meta.url).href
    const shown = 'if (!/^127\\.0\\.0\\.1:\\d+$/.test(chronik.kafka.address)) throw new Error(chronik.kafka.address)'
    await writeFile(script, `${snippet.replace("'chronik-stream'", `'${sources}'`)}\n${shown}\n`)
    expect(await runToEnd(process.execPath, [script])).toEqual({ code: 0, stdout: '', stderr: '' })
  })
})
