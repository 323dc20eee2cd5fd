// Each rule must be red for what it forbids: a rule that cannot fail is worse than none.

import { describe, expect, it } from 'vitest'
import * as rules from './rules.ts'
import { parseSource, type SourceFile } from './source.ts'

const lines = (count: number, line = 'work()') => `${Array(count).fill(line).join('\n')}\n`

function problems(rule: (file: SourceFile) => string[], path: string, text: string): string[] {
  return rule(parseSource(path, text))
}

/** One entry a case: the file, its text, and what the rule says about it, or nothing. */
type Case = [path: string, text: string, problem?: RegExp]

function check(rule: (file: SourceFile) => string[], cases: Case[]): void {
  for (const [path, text, problem] of cases) {
    const found = problems(rule, path, text)
    if (problem === undefined) expect(found, `${path}: ${text}`).toEqual([])
    else expect(found, `${path}: ${text}`).toEqual([expect.stringMatching(problem)])
  }
}

describe('the rules about imports', () => {
  it('let a folder import only what is above it', () => {
    check(rules.importsPointUp, [
      ['src/log/log.ts', `import { a } from '#core/core.ts'`],
      ['src/log/log.ts', `import { a } from '#log/index-file.ts'`],
      ['src/core/core.ts', `import { a } from '#log/log.ts'`, /^src\/core\/core.ts:1 imports src\/log\/log.ts/],
      ['src/core/core.ts', `export { a } from '#log/log.ts'`, /src\/log/],
      ['src/core/core.ts', `\nimport type { A } from '#log/log.ts'`, /core.ts:2/],
      ['src/core/core.ts', `const a = await import('#log/log.ts')`, /src\/log/],
      ['src/core/core.ts', `let a: import('#log/log.ts').A`, /src\/log/],
      ['src/core/core.ts', `new URL('../log/worker.ts', import.meta.url)`, /src\/log\/worker/],
      ['src/cli/chronik.ts', `import { a } from '#server/server.ts'`],
      ['src/server/server.ts', `import { a } from '#cli/chronik.ts'`, /src\/cli/],
      ['src/elsewhere/a.ts', `import { a } from '#base/errors.ts'`, /src\/base/],
      ['src/log/log.ts', `import { a } from '#test/support/until.ts'`, /test\/support/],
      ['test/unit/a.test.ts', `import { a } from '#server/server.ts'`],
    ])
  })

  it('let other folders in only through the door', () => {
    check(rules.importsUseDoors, [
      ['src/log/log.ts', `import { a } from '#core/core.ts'`],
      ['src/log/log.ts', `import { a } from '#core/state.ts'`],
      ['src/log/log.ts', `import { a } from '#commit/wal-files.ts'`],
      ['src/kafka/kafka.ts', `import { a } from '#commit/commit.ts'`, /src\/commit\/commit.ts/],
      ['src/kafka/kafka.ts', `import { a } from '#log/read-log.ts'`],
      ['src/kafka/kafka.ts', `import { a } from '#log/maintenance.ts'`, /not the door src\/log\/log.ts/],
      ['src/log/log.ts', `import { a } from '#base/errors.ts'`],
      ['src/kafka/handlers/00-produce.ts', `import { a } from '#kafka/connection.ts'`],
      ['src/server/server.ts', `import { a } from '#kafka/protocol/codec.ts'`],
      ['src/server/server.ts', `import { a } from '#kafka/connection.ts'`, /src\/kafka\/kafka.ts/],
      ['bench/a.ts', `import { a } from '#kafka/connection.ts'`],
    ])
  })

  it('have one way to name a file', () => {
    check(rules.importsAreNamedWell, [
      ['src/log/log.ts', `import { a } from './index-file.ts'`],
      ['src/log/log.ts', `import { a } from '../core/core.ts'`, /across folders/],
      ['src/log/log.ts', `import { a } from './index-file'`, /with its .ts/],
      ['src/log/log.ts', `import { a } from '#log/index-file.ts'`, /beside it/],
      ['test/a.ts', `new URL('../src/cli/chronik.ts', import.meta.url)`],
    ])
  })

  it('lets no signal be joined to others for ever', () => {
    check(rules.signalsAreLetGo, [
      ['src/log/log.ts', `const signal = AbortSignal.any([one, other])`, /log.ts:1 uses AbortSignal.any/],
      ['src/log/log.ts', `const { signal } = abortedWith(one)`],
      ['test/unit/a.test.ts', `const signal = AbortSignal.any([one, other])`],
    ])
  })

  it('keep the machine behind ports', () => {
    check(rules.systemIsBehindPorts, [
      ['src/log/log.ts', `import { join } from 'node:path'`],
      ['src/log/log.ts', `import { open } from 'node:fs'`, /uses node:fs, which is not for log/],
      ['src/system/disk.ts', `import { open } from 'node:fs'`],
      ['src/log/log.ts', `const a = Date.now()`, /Date.now/],
      ['src/log/log.ts', `const a = new Date()`, /new Date\(\)/],
      ['src/log/log.ts', `const a = new Date(nowMs)`],
      ['src/log/log.ts', `const { now } = Date\nsetTimeout(work, 1)`, /log.ts:2 uses setTimeout/],
      ['src/log/log.ts', `console.log(1)`, /console/],
      ['src/log/log.ts', `const a = process.env.HOME`, /process.env/],
      ['src/config/environment.ts', `const a = process.env.HOME`],
      ['src/log/log.ts', `const a = { process: 1, setTimeout }`, /setTimeout/],
      ['src/log/log.ts', `function a(process: Process) { return process.pid }`],
      ['src/log/log.ts', `import { process } from './process.ts'\nprocess.start()`],
      ['src/log/log.ts', `class A { setTimeout() { this.process() } }`],
      ['src/log/log.ts', `interface A { process: number }\ntype B = { console: A['process'] }`],
      ['test/a.ts', `import fs from 'node:fs'\nconsole.log(Date.now())`],
    ])
  })
})

describe('the rules about shape', () => {
  it('keep files and functions short', () => {
    check(rules.filesAreShort, [
      ['src/a.ts', lines(rules.FILE_LINES)],
      ['src/a.ts', lines(rules.FILE_LINES + 1), /has 501 lines/],
    ])
    const body = (count: number) => lines(count - 2)
    check(rules.functionsAreShort, [
      ['src/a.ts', `function a() {\n${body(rules.FUNCTION_LINES)}}`],
      ['src/a.ts', `function a() {\n${body(rules.FUNCTION_LINES + 1)}}`, /src\/a.ts:1 a has 71 lines/],
      ['src/a.ts', `class A {\n  run() {\n${body(rules.FUNCTION_LINES + 1)}}\n}`, /:2 run has 71 lines/],
      ['src/a.ts', `const a = () => {\n${body(rules.FUNCTION_LINES + 1)}}`, /:1 a has 71 lines/],
      ['test/a.ts', `describe('a', () => {\n${lines(100)}})`],
    ])
  })

  it('keep functions to four parameters, of which a range of bytes is one', () => {
    check(rules.functionsAreShort, [
      ['src/a.ts', `function a(b: 1, c: 1, d: 1, e: 1) {}`],
      ['src/a.ts', `function a(b: 1, c: 1, d: 1, e = 1, ...f: 1[]) {}`, /a has 5 parameters/],
      ['src/a.ts', `function a(b: 1, c: 1, d: 1, bytes: Buffer, from: number, to: number) {}`],
      ['src/a.kernel.ts', `function a(b: 1, c: 1, d: 1, e: 1, f: 1) {}`],
    ])
  })

  it('ask for names that say something', () => {
    check(rules.filesHaveNames, [
      ['src/a/read-log.ts', ''],
      ['src/a/index-file.ts', ''],
      ['src/a/crc32c.kernel.ts', ''],
      ['src/a/index.ts', '', /'index'/],
      ['src/a/string-utils.ts', '', /'utils'/],
      ['src/a/log-v2.ts', '', /'v2'/],
      ['src/a/ReadLog.ts', '', /lower case/],
    ])
    check(rules.exportsHaveNames, [
      ['src/a.ts', 'export const a = 1\nexport { b } from "./b.ts"'],
      ['src/a.ts', 'export default 1', /default/],
      ['src/a.ts', 'const a = 1\nexport { a as default }', /default/],
    ])
  })

  it('find what is unfinished', () => {
    check(rules.nothingIsUnfinished, [
      ['src/a.ts', '// a method to do it'],
      ['src/a.ts', 'work() // TODO', /a.ts:1 says 'TODO'/],
      ['src/a.ts', '\n// good enough for now', /a.ts:2 says 'for now'/],
      ['src/a.ts', `throw new Error('Not implemented')`, /Not implemented/],
      ['test/a.test.ts', `it.only('works', () => {})`, /it.only/],
    ])
  })
})

describe('the rules about the whole', () => {
  const program = (files: Record<string, string>) =>
    Object.entries(files).map(([path, text]) => parseSource(path, text))

  it('find what nobody uses', () => {
    const files = {
      'src/cli/chronik.ts': `import { a } from '#log/log.ts'\nnew URL('./worker.ts', import.meta.url)`,
      'src/cli/worker.ts': '',
      'src/log/log.ts': `import type { A } from './types.ts'`,
      'src/log/types.ts': '',
      'src/log/dead.ts': '',
      'test/unit/log/dead.test.ts': `import '#log/dead.ts'`,
    }
    const dead = ['src/log/dead.ts is not used by the program']
    expect(rules.everythingIsUsed(program(files))).toEqual(dead)
    const withBench = { ...files, 'bench/dead.ts': `import '#log/dead.ts'` }
    expect(rules.everythingIsUsed(program(withBench))).toEqual([])
  })

  it('find circles of values, not of types', () => {
    const circle = { 'src/a/a.ts': `import { b } from './b.ts'`, 'src/a/b.ts': `import { a } from './a.ts'` }
    expect(rules.importsHaveNoCircles(program(circle))).toEqual([
      'a circle of imports: src/a/a.ts > src/a/b.ts > src/a/a.ts',
    ])
    const types = { 'src/a/a.ts': `import { b } from './b.ts'`, 'src/a/b.ts': `import type { A } from './a.ts'` }
    expect(rules.importsHaveNoCircles(program(types))).toEqual([])
  })

  it('ask of a kernel a budget, a bench and a test', () => {
    const kernel = '// Budget 1 ns per byte; bench/kernel/sum.bench.ts.\nexport function sum() {}'
    const whole = {
      'src/bytes/sum.kernel.ts': kernel,
      'bench/kernel/sum.bench.ts': `import { sum } from '#bytes/sum.kernel.ts'`,
      'test/unit/bytes/sum.test.ts': `import { sum } from '#bytes/sum.kernel.ts'`,
    }
    expect(rules.kernelsAreProved(program(whole))).toEqual([])
    expect(rules.kernelsAreProved(program({ 'src/bytes/sum.kernel.ts': kernel }))).toHaveLength(3)
    expect(rules.kernelsAreProved(program({ ...whole, 'src/bytes/sum.kernel.ts': 'const a = 1' }))).toHaveLength(2)
  })
})
