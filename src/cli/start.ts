import { ChronikError, messageOf } from '#base/errors.ts'
import { processEnvironment } from '#config/environment.ts'
import { loadSettings } from '#config/load-settings.ts'
import type { Settings } from '#config/settings.ts'
import { settingsHelp } from '#config/settings-help.ts'
import { createLogger, type Logger, type LogLevel, standardOutput } from '#observe/log.ts'
import { type Server, startServer } from '#server/server.ts'
import { systemClock } from '#system/clock.ts'
import { systemDisk } from '#system/disk.ts'
import { systemProcess } from '#system/process.ts'
import { systemRandom } from '#system/random.ts'
import { readTextFile } from '#system/text-file.ts'
import { banner } from './banner.ts'
import type { Command } from './command.ts'

export const startCommand: Command = {
  name: 'start',
  summary: 'Start a broker.',
  help: () => `Usage: chronik start [--config FILE] [options]

Starts a broker and runs until SIGTERM or SIGINT, which it answers by finishing what it has begun.

${settingsHelp()}`,
  run,
}

async function run(argv: readonly string[]): Promise<number> {
  const loaded = loadSettings({ argv, env: processEnvironment(), readFile: readTextFile })
  if (!loaded.ok) {
    for (const error of loaded.errors) systemProcess.printError(`chronik: ${error}\n`)
    return 2
  }
  const { settings, sources, warnings } = loaded
  const output = standardOutput()
  const logger = createLogger({ level: settings.logLevel as LogLevel, pretty: systemProcess.isTerminal, output })
  for (const warning of warnings) logger.warn(warning)
  const ended = Promise.withResolvers<number>()
  const undo = systemProcess.onUncaught(error => {
    logger.error('a bug: the broker stops', { error })
    ended.resolve(1)
  })
  try {
    const server = await startServer({
      settings,
      sources,
      disk: systemDisk,
      clock: systemClock,
      random: systemRandom,
      logger,
      operations: true,
      failed: error => {
        logger.error(error.message, { error })
        ended.resolve(1)
      },
    })
    for (const line of banner(settings, server)) systemProcess.printError(`${line}\n`)
    return await untilStopped(server, settings, logger, ended)
  } catch (thrown) {
    systemProcess.printError(`chronik: ${explain(thrown)}\n`)
    return 1
  } finally {
    undo()
    output.flush()
  }
}

async function untilStopped(
  server: Server,
  settings: Settings,
  logger: Logger,
  ended: PromiseWithResolvers<number>,
): Promise<number> {
  const undo = systemProcess.onStopSignal(signal => {
    logger.info(`${signal}: finishing what was begun`, { drainTimeoutMs: settings.drainTimeoutMs })
    server.close().then(
      () => ended.resolve(0),
      thrown => {
        logger.error('could not stop in good order', { error: thrown })
        ended.resolve(1)
      },
    )
  })
  const code = await ended.promise
  undo()
  if (code === 0) logger.info('stopped')
  // After a failure nothing more can be promised: the log on disk is what the next start goes by.
  else systemProcess.exit(code)
  return code
}

function explain(thrown: unknown): string {
  return thrown instanceof ChronikError ? thrown.message : messageOf(thrown)
}
