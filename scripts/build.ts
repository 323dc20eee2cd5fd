// npm run build: JavaScript and types for those who install the package. Node does not run TypeScript below node_modules.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')

rmSync(dist, { recursive: true, force: true })
const compiler = join(root, 'node_modules/typescript/bin/tsc')
execFileSync(process.execPath, [compiler, '--project', join(root, 'tsconfig.build.json')], { stdio: 'inherit' })

// The compiler leaves `#folder/file.ts` alone. A package.json of its own says what that means in dist.
const scope = {
  type: 'module',
  imports: { '#*.ts': { types: './src/*.d.ts', default: './src/*.js' } },
}
writeFileSync(join(dist, 'package.json'), `${JSON.stringify(scope, null, 2)}\n`)

// And the addresses of files that are started as threads: new URL('./worker.ts', import.meta.url).
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.name.endsWith('.js')) continue
  const path = join(entry.parentPath, entry.name)
  const text = readFileSync(path, 'utf8')
  const rewritten = text.replace(/(new URL\('\.\/[^']+)\.ts(', import\.meta\.url\))/g, '$1.js$2')
  if (rewritten !== text) writeFileSync(path, rewritten)
}
