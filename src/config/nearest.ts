/** The candidate that a misspelt name most likely means: `; did you mean ...?`, or '' if none is near. */
export function hintFor(name: string, candidates: readonly string[]): string {
  const wanted = bare(name)
  let nearest = ''
  let least = Math.max(1, Math.floor(wanted.length / 2)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(wanted, bare(candidate))
    if (distance < least) {
      nearest = candidate
      least = distance
    }
  }
  return nearest === '' ? '' : `; did you mean ${nearest}?`
}

/** What is left when `--kafka-port`, `CHRONIK_KAFKA_PORT` and `kafkaPort` are taken for one word. */
function bare(name: string): string {
  return name
    .replace(/^CHRONIK_/, '')
    .replaceAll(/[^a-z0-9]/gi, '')
    .toLowerCase()
}

/** Insertions, removals and replacements that turn one text into the other. */
function editDistance(from: string, to: string): number {
  let last = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const differs = from[row - 1] === to[column - 1] ? 0 : 1
      current.push(Math.min(current[column - 1]! + 1, last[column]! + 1, last[column - 1]! + differs))
    }
    last = current
  }
  return last[to.length]!
}
