import { messageOf } from '#base/errors.ts'
import { processEnvironment } from '#config/environment.ts'
import { loadSettings } from '#config/load-settings.ts'
import { settingsHelp } from '#config/settings-help.ts'
import { createLogger, type LogLevel, standardOutput } from '#observe/log.ts'
import { startServer } from '#server/server.ts'
import { atMost, systemClock } from '#system/clock.ts'
import { systemDisk } from '#system/disk.ts'
import { type StopSignal, systemProcess } from '#system/process.ts'
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

/** For log lines that nobody takes. */
const LAST_LINES_MS = 1000

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
  const asked = Promise.withResolvers<StopSignal>()
  // Also while it starts, and to the very end: a second signal does not cut short what the first one began.
  systemProcess.onStopSignal(asked.resolve)
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
    asked.promise.then(signal => {
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
    if (code === 0) logger.info('stopped')
    // After a failure the process ends as it is: the log on disk is what the next start goes by.
    return code
  } catch (thrown) {
    systemProcess.printError(`chronik: ${messageOf(thrown)}\n`)
    return 1
  } finally {
    await atMost(LAST_LINES_MS, output.flush())
    undo()
  }
}
