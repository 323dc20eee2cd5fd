import { readdir } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { readOptions, UsageError } from '#cli/command.ts'
import { groupCommand } from '#cli/group.ts'
import { logCommand } from '#cli/log.ts'
import { repairCommand } from '#cli/repair.ts'
import { TARGET_FLAGS, TARGET_OPTIONS } from '#cli/reset-target.ts'
import { RECORD_TYPE_NAMES } from '#core/change-records.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'

describe('options of a command', () => {
  it('are given as two words or with an equals sign, and the last one counts', () => {
    expect(readOptions(['--topic', 'a', '--from=1', '--topic=b=c', '--all'], ['topic', 'from'], ['all'])).toEqual({
      topic: 'b=c',
      from: '1',
      all: true,
    })
  })

  it('are refused when unknown, without a value, or with one that they do not take', () => {
    for (const argv of [['--topc', 'a'], ['topic'], ['-topic', 'a'], ['--all=1']]) {
      expect(() => readOptions(argv, ['topic'], ['all'])).toThrow(
        `unknown option '${argv[0]}'. Options: --topic, --all`,
      )
    }
    expect(() => readOptions(['--topic'], ['topic'], [])).toThrow('--topic needs a value')
  })
})

describe('wrong use of a command', () => {
  const cases: [string, () => Promise<number>, string][] = [
    ['log alone', () => logCommand.run([]), 'say what to do with the log'],
    ['log without a directory', () => logCommand.run(['dump']), '--data-dir is needed'],
    [
      'log with a word for a number',
      () => logCommand.run(['dump', '--data-dir', 'd', '--from', 'x']),
      "--from takes a whole number, not 'x'",
    ],
    [
      'log with an unknown type',
      () => logCommand.run(['dump', '--data-dir', 'd', '--type', 'produced,topics']),
      "no record type 'topics'. Types: produced, ",
    ],
    ['repair without a directory', () => repairCommand.run([]), '--data-dir is needed'],
    [
      'repair with a word for a position',
      () => repairCommand.run(['--data-dir', 'd', '--cut-at', 'end']),
      "--cut-at takes a position, not 'end'",
    ],
  ]
  for (const [name, run, message] of cases) {
    it(`says what is wrong: ${name}`, async () => {
      const thrown = await run().catch((error: unknown) => error)
      expect(thrown).toBeInstanceOf(UsageError)
      expect((thrown as UsageError).message).toContain(message)
    })
  }
})

describe('help', () => {
  it('names every option of log, of repair and of group', () => {
    for (const option of ['data-dir', 'type', 'topic', 'group', 'partition', 'from', 'to']) {
      expect(logCommand.help()).toContain(`\n  --${option} `)
    }
    for (const option of ['data-dir', 'cut-at']) expect(repairCommand.help()).toContain(`\n  --${option} `)
    const ofGroup = ['data-dir', 'json', 'members', 'topic', 'dry-run', ...TARGET_OPTIONS, ...TARGET_FLAGS]
    for (const option of ofGroup) expect(groupCommand.help()).toContain(`\n  --${option} `)
  })

  it('names every type of record', () => {
    for (const type of RECORD_TYPE_NAMES.values()) expect(logCommand.help()).toMatch(new RegExp(`^ +${type}$`, 'm'))
  })
})

describe('a directory without a log', () => {
  it('is refused by log and by repair, there or not, and stays as it is', async () => {
    const empty = await temporaryDirectory()
    for (const dataDir of [empty, `${empty}/none`]) {
      for (const run of [
        () => logCommand.run(['dump', '--data-dir', dataDir]),
        () => repairCommand.run(['--data-dir', dataDir]),
      ]) {
        await expect(run()).rejects.toMatchObject({ code: 'NO_LOG', message: expect.stringContaining(dataDir) })
      }
    }
    expect(await readdir(empty)).toEqual([])
  })
})
