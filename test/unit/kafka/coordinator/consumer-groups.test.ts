import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { GroupScript } from '#test/support/group-script.ts'

// The lives of consumer groups are text in fixtures/scenarios: commands, and below each what comes of it. CHRONIK_WRITE_GOLDEN=1
// writes down what comes of them now; read the difference before it is committed.

const SCRIPTS = fileURLToPath(new URL('../../../../fixtures/scenarios/consumer-groups/', import.meta.url))

describe('a consumer group', () => {
  it.each(readdirSync(SCRIPTS).map(file => ({ file, name: file.replace('.txt', '').replaceAll('-', ' ') })))(
    '$name',
    async ({ file }) => {
      const text = readFileSync(SCRIPTS + file, 'utf8')
      const played = await GroupScript.play(text)
      if (process.env.CHRONIK_WRITE_GOLDEN === '1') writeFileSync(SCRIPTS + file, played)
      else expect(played).toBe(text)
    },
  )
})
