import { ChronikError } from '#base/errors.ts'
import type { Finding, Inspector, RecordRange } from '#base/inspection.ts'
import type { Clock } from '#base/ports.ts'
import { systemProcess } from '#system/process.ts'

// What a person sees while everything is checked: each finding as it comes, a line each, and how far it is.

const PROGRESS_MS = 3_000
/** Of the findings; what comes behind is counted. */
const KEPT_FINDINGS = 10_000
const NAMED_RANGES = 3

export class PrintingInspector implements Inspector {
  readonly #clock: Clock
  readonly #isQuiet: boolean
  readonly #stopped = new AbortController()
  readonly #undo: () => void
  #stage = ''
  #totalBytes = 0
  #passedBytes = 0
  readonly findings: Finding[] = []
  damages = 0
  notices = 0

  /** Quiet: findings are not printed, but kept. */
  constructor(clock: Clock, isQuiet: boolean) {
    this.#clock = clock
    this.#isQuiet = isQuiet
    this.#undo = systemProcess.onStopSignal(() => {
      this.#stopped.abort(new ChronikError('STOPPED', 'closed', 'stopped before everything was checked'))
    })
    this.#tick()
  }

  get signal(): AbortSignal {
    return this.#stopped.signal
  }

  found(finding: Finding): void {
    if (finding.kind === 'damage') this.damages++
    else this.notices++
    if (this.findings.length < KEPT_FINDINGS) this.findings.push(finding)
    if (!this.#isQuiet) systemProcess.print(`${findingText(finding)}\n`)
  }

  begins(stage: string, totalBytes: number): void {
    this.#stage = stage
    this.#totalBytes = totalBytes
    this.#passedBytes = 0
  }

  passed(sizeBytes: number): void {
    this.#passedBytes += sizeBytes
  }

  #tick(): void {
    this.#clock.after(PROGRESS_MS, () => {
      if (this.#isOver) return
      systemProcess.printError(`${progressText(this.#stage, this.#passedBytes, this.#totalBytes)}\n`)
      this.#tick()
    })
  }

  #isOver = false

  end(): void {
    this.#isOver = true
    this.#undo()
  }
}

export function findingText({ kind, message, affected }: Finding): string {
  const label = kind === 'damage' ? 'damaged' : 'notice '
  return `${label}  ${message}${affectedText(affected)}`
}

function affectedText(affected: readonly RecordRange[]): string {
  if (affected.length === 0) return ''
  const named = affected.slice(0, NAMED_RANGES).map(({ topic, partition, fromOffset, toOffset }) => {
    return `${topic}-${partition} offsets ${fromOffset} to ${toOffset - 1}`
  })
  const others = affected.length - named.length
  return ` [${named.join(', ')}${others === 0 ? '' : ` and ${others} more`}]`
}

export function progressText(stage: string, passedBytes: number, totalBytes: number): string {
  const passed = sizeText(passedBytes)
  if (totalBytes === 0) return `checking ${stage}: ${passed}`
  // What lies around the records is passed, too.
  const percent = Math.min(99, Math.floor((passedBytes / totalBytes) * 100))
  return `checking ${stage}: ${passed} of ${sizeText(totalBytes)}, ${percent} %`
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']

export function sizeText(sizeBytes: number): string {
  let unit = 0
  let size = sizeBytes
  for (; size >= 1024 && unit < UNITS.length - 1; unit++) size /= 1024
  return `${unit === 0 ? size : size.toFixed(1)} ${UNITS[unit]}`
}
