import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createLogger, type LogLevel } from '#observe/log.ts'

function captured(level: LogLevel, pretty = false) {
  const lines: string[] = []
  const logger = createLogger({
    level,
    pretty,
    output: { write: line => void lines.push(line), flush: async () => {} },
  })
  return { logger, lines }
}

function runNode(script: string, output: 'pipe' | number = 'pipe') {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    stdio: ['ignore', output, 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

describe('the log', () => {
  it('writes a JSON object per line, with the fields of those it comes from', () => {
    const { logger, lines } = captured('info')
    logger.with({ topic: 'orders' }).with({ partition: 3 }).warn('too slow', { delayMs: 12 })
    expect(lines).toHaveLength(1)
    expect(lines[0]!.endsWith('\n')).toBe(true)
    const { time, ...rest } = JSON.parse(lines[0]!)
    expect(rest).toEqual({ level: 'warn', topic: 'orders', partition: 3, delayMs: 12, msg: 'too slow' })
    expect(new Date(time).toISOString()).toBe(time)
  })

  it('writes what is at least as severe as its level', () => {
    const { logger, lines } = captured('warn')
    logger.debug('a')
    logger.info('b')
    logger.warn('c')
    logger.error('d')
    expect(lines.map(line => JSON.parse(line).msg)).toEqual(['c', 'd'])
    const silent = captured('silent')
    silent.logger.error('e')
    expect(silent.lines).toEqual([])
  })

  it('keeps message, code, cause and stack of an error', () => {
    const { logger, lines } = captured('info')
    const error = Object.assign(new Error('no space', { cause: new Error('disk') }), { code: 'ENOSPC' })
    logger.error('cannot write', { error })
    expect(JSON.parse(lines[0]!).error).toMatchObject({
      message: expect.stringContaining('no space'),
      code: 'ENOSPC',
      stack: expect.stringContaining('disk'),
    })
  })

  it('is readable on a terminal', () => {
    const { logger, lines } = captured('info', true)
    logger.info('ready', { port: 9092 })
    expect(lines.join('')).toContain('INFO')
    expect(lines.join('')).toContain('ready')
    expect(lines.join('')).toContain('9092')
    expect(lines.join('')).not.toContain('{')
  })

  it('has written every line when flush resolves', async () => {
    const child = runNode(`
      import { createLogger, standardOutput } from '#observe/log.ts'
      const output = standardOutput()
      const logger = createLogger({ level: 'info', pretty: false, output })
      for (let i = 0; i < 100; i++) logger.info('line', { i })
      await output.flush()
      process.kill(process.pid, 'SIGKILL')`)
    const written = await text(child.stdout!)
    expect(written.trim().split('\n')).toHaveLength(100)
  })

  it('neither stops nor fills the memory of a process whose output nobody reads', async () => {
    const child = runNode(`
      import { createLogger, standardOutput } from '#observe/log.ts'
      const logger = createLogger({ level: 'info', pretty: false, output: standardOutput() })
      const line = 'x'.repeat(1000)
      for (let i = 0; i < 100; i++) {
        for (let k = 0; k < 500; k++) logger.info(line)
        await new Promise(resolve => setImmediate(resolve))
      }
      process.stderr.write(String(process.memoryUsage().rss))
      process.exit(0)`)
    const [rssBytes] = await once(child.stderr!.setEncoding('utf8'), 'data')
    expect(Number(rssBytes)).toBeGreaterThan(0)
    expect(Number(rssBytes)).toBeLessThan(200e6)
  })

  it.runIf(process.platform === 'linux')('does not stop a process whose output is a full disk', async () => {
    const full = openSync('/dev/full', 'w')
    const child = runNode(
      `import { createLogger, standardOutput } from '#observe/log.ts'
      const logger = createLogger({ level: 'info', pretty: false, output: standardOutput() })
      setInterval(() => logger.info('still here'), 1)
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), 300)`,
      full,
    )
    const [, signal] = await once(child, 'exit')
    closeSync(full)
    expect(signal).toBe('SIGKILL')
  })

  it('does not stop a process whose output was closed', async () => {
    const child = runNode(`
      import { createLogger, standardOutput } from '#observe/log.ts'
      const logger = createLogger({ level: 'info', pretty: false, output: standardOutput() })
      setInterval(() => logger.info('still here'), 1)
      setTimeout(() => process.exit(7), 300)`)
    child.stdout?.destroy()
    const [code] = await once(child, 'exit')
    expect(code).toBe(7)
  })
})
