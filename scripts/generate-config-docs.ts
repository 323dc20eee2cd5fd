// Writes docs/CONFIG.md from the tables of settings, topic configs and broker configs: node scripts/generate-config-docs.ts

import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { renderConfigDocs } from '#config/config-docs.ts'

writeFileSync(fileURLToPath(new URL('../docs/CONFIG.md', import.meta.url)), renderConfigDocs())
