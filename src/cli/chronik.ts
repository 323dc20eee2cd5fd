import { ChronikError, messageOf, systemCodeOf } from '#base/errors.ts'
import { staying } from '#system/clock.ts'
import { systemProcess } from '#system/process.ts'
import { type Command, UsageError } from './command.ts'
import { groupCommand } from './group.ts'
import { logCommand } from './log.ts'
import { repairCommand } from './repair.ts'
import { restoreCommand } from './restore.ts'
import { startCommand } from './start.ts'
import { verifyCommand } from './verify.ts'
import { VERSION } from './version.ts'

// The command `chronik`: finds the command that is asked for and runs it. Exit codes: 0 done, 1 failed, 2 wrong use.

const COMMANDS: readonly Command[] = [
  startCommand,
  groupCommand,
  logCommand,
  repairCommand,
  restoreCommand,
  verifyCommand,
]

function help(): string {
  const width = Math.max(...COMMANDS.map(command => command.name.length))
  const lines = COMMANDS.map(command => `  ${command.name.padEnd(width)}  ${command.summary}`)
  return [
    'Chronik Stream: a Kafka-compatible streaming store.',
    '',
    'Usage: chronik COMMAND [options]',
    '',
    ...lines,
    '',
    "'chronik COMMAND --help' explains a command.",
    '',
  ].join('\n')
}

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    systemProcess.print(help())
    return name === undefined ? 2 : 0
  }
  if (name === '--version' || name === '-v') {
    systemProcess.print(`chronik ${VERSION}\n`)
    return 0
  }
  const command = COMMANDS.find(candidate => candidate.name === name)
  if (command === undefined) {
    systemProcess.printError(`chronik: no command '${name}'. Commands: ${COMMANDS.map(c => c.name).join(', ')}\n`)
    return 2
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    systemProcess.print(command.help())
    return 0
  }
  try {
    return await command.run(rest)
  } catch (thrown) {
    const isWrongUse = thrown instanceof UsageError
    if (!isWrongUse && !isOfTheWorld(thrown)) throw thrown
    systemProcess.printError(`chronik ${name}: ${messageOf(thrown)}\n`)
    return isWrongUse ? 2 : 1
  }
}

/** Whether somebody else than the program is to blame: the message alone helps, where it was thrown does not. */
function isOfTheWorld(thrown: unknown): boolean {
  return thrown instanceof ChronikError || /^E[A-Z0-9]+$/.test(systemCodeOf(thrown))
}

// `chronik log dump | head` has read what it wants.
systemProcess.onOutputClosed(() => systemProcess.exit(1))
const code = await staying(main(systemProcess.commandArguments))
if (code !== 0) systemProcess.exit(code)
