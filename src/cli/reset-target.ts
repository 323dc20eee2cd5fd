import { duration } from '#config/setting-types.ts'
import type { ResetTarget } from '#kafka/kafka.ts'
import { UsageError } from './command.ts'
import { readMoment } from './moment.ts'

// Where `chronik group reset-offsets` sets offsets to: exactly one option says it.

export const TARGET_OPTIONS = ['to-offset', 'to-datetime', 'by-duration', 'shift-by'] as const
export const TARGET_FLAGS = ['to-earliest', 'to-latest'] as const

type Option = (typeof TARGET_OPTIONS)[number]
type Flag = (typeof TARGET_FLAGS)[number]
type Given = Partial<Record<Option, string>> & Partial<Record<Flag, true>>

const ALL = [...TARGET_FLAGS, ...TARGET_OPTIONS]
const ANY_DURATION = duration(0, Number.MAX_SAFE_INTEGER)

export function resetTarget(given: Given): ResetTarget {
  const [name, ...others] = ALL.filter(option => given[option] !== undefined)
  if (name === undefined || others.length > 0) {
    throw new UsageError(`say where to, with one of ${ALL.map(option => `--${option}`).join(', ')}`)
  }
  switch (name) {
    case 'to-earliest':
      return { kind: 'earliest' }
    case 'to-latest':
      return { kind: 'latest' }
    case 'to-offset':
      return { kind: 'offset', offset: whole(name, given[name]!, /^\d{1,15}$/) }
    case 'shift-by':
      return { kind: 'shift', by: whole(name, given[name]!, /^[+-]?\d{1,15}$/) }
    case 'to-datetime':
      return { kind: 'time', timestampMs: readMoment(name, given[name]!) }
    case 'by-duration': {
      const parsed = ANY_DURATION.parse(given[name]!)
      if (parsed.ok) return { kind: 'age', ageMs: parsed.value }
      throw new UsageError(`--by-duration takes a time like 30s, 10m, 1h or 7d, not '${given[name]}'`)
    }
  }
}

function whole(name: string, text: string, form: RegExp): number {
  if (form.test(text)) return Number(text)
  throw new UsageError(`--${name} takes a whole number, not '${text}'`)
}
