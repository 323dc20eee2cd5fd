import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

// The lives of groups and transactions are text in fixtures/scenarios: commands, and below each what comes of it.
// CHRONIK_WRITE_GOLDEN=1 writes down what comes of them now; read the difference before it is committed.

/** One test for each script of a folder of fixtures/scenarios. */
export function playScenarios(folder: string, play: (text: string) => string): void {
  const scripts = fileURLToPath(new URL(`../../fixtures/scenarios/${folder}/`, import.meta.url))
  const files = readdirSync(scripts).map(file => ({ file, name: file.replace('.txt', '').replaceAll('-', ' ') }))
  it.each(files)('$name', ({ file }) => {
    const text = readFileSync(scripts + file, 'utf8')
    const played = play(text)
    if (process.env.CHRONIK_WRITE_GOLDEN === '1') writeFileSync(scripts + file, played)
    else expect(played).toBe(text)
  })
}
