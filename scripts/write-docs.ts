// npm run docs: writes the pages that come from the code. A test fails when one of them is out of date.

import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { generatedPages } from './docs/generated.ts'

for (const [path, render] of Object.entries(generatedPages)) {
  writeFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), render())
  console.log(path)
}
