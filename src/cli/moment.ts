import { UsageError } from './command.ts'

const DATE = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(:\d\d)?(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)?$/

/** A time that an option names, in ms. Kafka's tools read one without a zone as UTC, too. */
export function readMoment(option: string, text: string): number {
  const [, day = '', minute = '00:00', second = ':00', fraction = '', zone = 'Z'] = DATE.exec(text) ?? []
  const timestampMs = Date.parse(`${day}T${minute}${second}${fraction}${zone}`)
  // A 30th of February is not the 2nd of March.
  const isDay = new Date(Date.parse(`${day}T00:00:00Z`)).toJSON()?.startsWith(day) ?? false
  if (day !== '' && isDay && timestampMs >= 0) return timestampMs
  throw new UsageError(`--${option} takes a time like 2026-01-31T12:00:00.000Z, not '${text}'`)
}
