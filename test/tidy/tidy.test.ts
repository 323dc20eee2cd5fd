// The style of the code as a test. What is red here is mended in the code; the tables in layers.ts change rarely.

import { describe, expect, it } from 'vitest'
import { rulesForAllFiles, rulesForEachFile } from './rules.ts'
import { readSources } from './source.ts'

const files = readSources()

describe('in the code of this repository', () => {
  for (const [name, rule] of Object.entries(rulesForEachFile)) {
    it(name, () => expect(files.flatMap(rule)).toEqual([]))
  }
  for (const [name, rule] of Object.entries(rulesForAllFiles)) {
    it(name, () => expect(rule(files)).toEqual([]))
  }
})
