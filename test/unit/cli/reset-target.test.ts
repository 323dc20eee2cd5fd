import { describe, expect, it } from 'vitest'
import { UsageError } from '#cli/command.ts'
import { resetTarget } from '#cli/reset-target.ts'

describe('where offsets are reset to', () => {
  it.each([
    [{ 'to-earliest': true }, { kind: 'earliest' }],
    [{ 'to-latest': true }, { kind: 'latest' }],
    [{ 'to-offset': '42' }, { kind: 'offset', offset: 42 }],
    [{ 'shift-by': '-3' }, { kind: 'shift', by: -3 }],
    [{ 'shift-by': '+3' }, { kind: 'shift', by: 3 }],
    [{ 'by-duration': '1h' }, { kind: 'age', ageMs: 3_600_000 }],
    [{ 'to-datetime': '1970-01-02' }, { kind: 'time', timestampMs: 86_400_000 }],
    [{ 'to-datetime': '1970-01-01T01:00' }, { kind: 'time', timestampMs: 3_600_000 }],
    [{ 'to-datetime': '1970-01-01T00:00:01.5Z' }, { kind: 'time', timestampMs: 1500 }],
    [{ 'to-datetime': '2024-02-29T12:00:00.000+02:00' }, { kind: 'time', timestampMs: 1_709_200_800_000 }],
  ] as const)('is said by %o', (given, target) => {
    expect(resetTarget(given)).toEqual(target)
  })

  it('must be said, and once', () => {
    const all = '--to-earliest, --to-latest, --to-offset, --to-datetime, --by-duration, --shift-by'
    for (const given of [{}, { 'to-earliest': true, 'to-offset': '1' }] as const) {
      expect(() => resetTarget(given)).toThrow(new UsageError(`say where to, with one of ${all}`))
    }
  })

  it.each([
    [{ 'to-offset': '-1' }, "--to-offset takes a whole number, not '-1'"],
    [{ 'to-offset': 'end' }, "--to-offset takes a whole number, not 'end'"],
    [{ 'shift-by': '1.5' }, "--shift-by takes a whole number, not '1.5'"],
    [{ 'by-duration': 'an hour' }, "--by-duration takes a time like 30s, 10m, 1h or 7d, not 'an hour'"],
    [{ 'by-duration': '-1h' }, '--by-duration takes a time like'],
    [{ 'to-datetime': 'yesterday' }, '--to-datetime takes a time like 2026-01-31T12:00:00.000Z'],
    [{ 'to-datetime': '2026-02-30T12:00' }, '--to-datetime takes a time like'],
    [{ 'to-datetime': '2026-13-01' }, '--to-datetime takes a time like'],
    [{ 'to-datetime': '2026-01-01T25:00' }, '--to-datetime takes a time like'],
    [{ 'to-datetime': '1969-12-31' }, '--to-datetime takes a time like'],
  ] as const)('is not understood: %o', (given, message) => {
    expect(() => resetTarget(given)).toThrow(message)
  })
})
