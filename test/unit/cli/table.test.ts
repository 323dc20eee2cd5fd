import { describe, expect, it } from 'vitest'
import { printable, table } from '#cli/table.ts'

describe('a table', () => {
  it('has columns as wide as what is in them, numbers to the right, and a dash for nothing', () => {
    const rows = [
      ['orders', 0, 1234, null],
      ['a', 12, null, 'client'],
    ]
    expect(table(['TOPIC', 'PARTITION', 'LAG', 'CLIENT'], rows)).toBe(
      ['TOPIC   PARTITION   LAG  CLIENT', 'orders          0  1234  -', 'a              12     -  client', ''].join(
        '\n',
      ),
    )
  })

  it('shows what a client made up as text, whatever it would do to a terminal', () => {
    expect(printable('späte Gruppe')).toBe('späte Gruppe')
    expect(printable('a\u001b[2Jb\nc')).toBe('"a\\u001b[2Jb\\nc"')
    expect(printable('a\u202eb')).toBe('"a\\u{202e}b"')
    expect(table(['GROUP'], [['two\nlines']])).toBe('GROUP\n"two\\nlines"\n')
  })
})
