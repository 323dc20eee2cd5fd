/** What stands in a cell; null is a dash, numbers stand to the right. */
export type Cell = string | number | null

/** Lines of columns, under a line of their names. */
export function table(names: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const texts = [names, ...rows].map(row => row.map(cell => (cell === null ? '-' : printable(String(cell)))))
  const widths = names.map((_, column) => texts.reduce((width, row) => Math.max(width, row[column]!.length), 0))
  const isNumber = names.map((_, column) => {
    const cells = rows.map(row => row[column])
    return cells.some(cell => typeof cell === 'number') && cells.every(cell => typeof cell !== 'string')
  })
  const lines = texts.map(row =>
    row
      .map((text, column) => (isNumber[column] ? text.padStart(widths[column]!) : text.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n`
}

/** Names come from clients: they must not steer a terminal, or look like more than one line. */
export function printable(text: string): string {
  return /\p{C}/u.test(text) ? JSON.stringify(text).replace(/\p{C}/gu, escaped) : text
}

function escaped(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`
}
