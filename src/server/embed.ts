import { ChronikError } from '#base/errors.ts'
import { hostPort } from '#config/advertised.ts'
import { settingsFrom } from '#config/load-settings.ts'
import { isWildcard } from '#config/setting-types.ts'
import type { Settings } from '#config/settings.ts'
import { createLogger, type LogLevel, standardOutput } from '#observe/log.ts'
import { atMost, staying, systemClock } from '#system/clock.ts'
import { systemDisk } from '#system/disk.ts'
import { systemRandom } from '#system/random.ts'
import { createTemporaryDirectory } from '#system/temporary.ts'
import { startServer } from './server.ts'

export type { Settings } from '#config/settings.ts'

/** Any setting by its name in camel case; docs/CONFIG.md has them all. */
export type ChronikOptions = Partial<Settings>

export interface Chronik {
  readonly kafka: {
    readonly host: string
    readonly port: number
    /** `host:port`, as clients take it. */
    readonly address: string
  }
  /** Where /metrics and /health answer. */
  readonly metrics: { readonly host: string; readonly port: number }
  readonly dataDir: string
  /** Resolves if the broker can accept nothing more, with the reason: its disk failed. */
  readonly failure: Promise<Error>
  /** Stops the broker. A temporary data directory is removed. */
  close(): Promise<void>
}

const LOOPBACK = '127.0.0.1'
/** For log lines that nobody takes. */
const LAST_LINES_MS = 1000

const DEFAULTS: ChronikOptions = {
  kafkaPort: 0,
  metricsPort: 0,
  bindAddr: LOOPBACK,
  logLevel: 'silent',
  // A broker inside another process does not take the memory and the disk of one that has a machine for itself.
  walFileBytes: 16 << 20,
  logCacheBytes: 32 << 20,
}

/**
 * Starts a broker in this process: on free ports of the loopback address, with its data in a temporary directory, and silent,
 * unless the options say otherwise.
 */
export async function startChronik(options: ChronikOptions = {}): Promise<Chronik> {
  const temporary = options.dataDir === undefined ? await createTemporaryDirectory() : null
  try {
    const loaded = settingsFrom({ ...DEFAULTS, ...options, ...(temporary === null ? {} : { dataDir: temporary.path }) })
    if (!loaded.ok) throw new ChronikError('INVALID_SETTINGS', 'invalid', loaded.errors.join('\n'))
    const { settings, sources } = loaded
    const output = standardOutput()
    const failure = Promise.withResolvers<Error>()
    const logger = createLogger({ level: settings.logLevel as LogLevel, pretty: false, output })
    const starting = startServer({
      settings,
      sources,
      disk: systemDisk,
      clock: systemClock,
      random: systemRandom,
      logger,
      operations: true,
      failed: error => {
        logger.error(error.message, { error })
        failure.resolve(error)
      },
    })
    const server = await staying(starting)
    const { port } = server.kafka
    // Nobody can connect to "every address": a client here reaches the loopback one.
    const host = isWildcard(settings.bindAddr) ? LOOPBACK : settings.bindAddr
    return {
      kafka: { host, port, address: hostPort(host, port) },
      metrics: { host, port: server.metricsPort ?? 0 },
      dataDir: settings.dataDir,
      failure: failure.promise,
      close: async () => {
        try {
          await staying(server.close())
        } finally {
          await temporary?.remove()
          await atMost(LAST_LINES_MS, output.flush())
        }
      },
    }
  } catch (thrown) {
    await temporary?.remove()
    throw thrown
  }
}
