// Log lines: JSON for machines, a line of text each for people. Nothing is logged per request.

import { destination, type Logger as PinoLogger, pino, stdSerializers, stdTimeFunctions } from 'pino'
import { prettyFactory } from 'pino-pretty'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

/** What a line is about: identities, numbers with their units in the name, `error` for what was thrown. */
export type LogFields = Record<string, unknown>

export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** One whose lines all have these fields. */
  with(fields: LogFields): Logger
}

/** Where lines go. */
export interface LogOutput {
  write(line: string): void
  /** Resolves when all is written, or nobody takes it any more: before the process ends. */
  flush(): Promise<void>
}

export interface LogOptions {
  /** The least severe level that is written. */
  level: LogLevel
  /** For a terminal. */
  pretty: boolean
  output: LogOutput
}

export function createLogger({ level, pretty, output }: LogOptions): Logger {
  const toText = pretty ? prettyFactory(prettyOptions) : (line: string) => line
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: stdSerializers.err },
  }
  return wrap(pino(options, { write: line => output.write(toText(line)) }))
}

const prettyOptions = { colorize: true, translateTime: 'SYS:HH:MM:ss.l', errorLikeObjectKeys: ['error'] }

function wrap(logger: PinoLogger): Logger {
  return {
    debug: (message, fields) => logger.debug(fields, message),
    info: (message, fields) => logger.info(fields, message),
    warn: (message, fields) => logger.warn(fields, message),
    error: (message, fields) => logger.error(fields, message),
    with: fields => wrap(logger.child(fields)),
  }
}

const STANDARD_OUTPUT = 1
const PENDING_BYTES_LIMIT = 2 ** 20

/** Never makes the broker wait: if nobody reads the output, lines beyond a MiB are lost, and so are all when it is closed. */
export function standardOutput(): LogOutput {
  const output = destination({ dest: STANDARD_OUTPUT, sync: false, minLength: 0, maxLength: PENDING_BYTES_LIMIT })
  let isIdle = true
  const waiting: (() => void)[] = []
  const settled = (): void => {
    isIdle = true
    for (const resolve of waiting.splice(0)) resolve()
  }
  output.on('drain', settled).on('error', settled)
  return {
    write: line => {
      isIdle = false
      output.write(line)
    },
    // Not flushSync: what is being written at that moment it does not wait for.
    flush: () => (isIdle ? Promise.resolve() : new Promise(resolve => waiting.push(resolve))),
  }
}
