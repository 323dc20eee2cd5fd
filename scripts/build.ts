// npm run build: what is published, since Node does not run TypeScript below node_modules. The types are blanked out, as Node
// does it itself, so that every line and column stays where it is in the sources.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')

rmSync(dist, { recursive: true, force: true })

// The declarations, *.d.ts.
const compiler = join(root, 'node_modules/typescript/bin/tsc')
execFileSync(process.execPath, [compiler, '--project', join(root, 'tsconfig.build.json')], { stdio: 'inherit' })
for (const path of filesUnder(dist)) writeFileSync(path, renameImports(readFileSync(path, 'utf8')))

for (const path of filesUnder(join(root, 'src'))) {
  const target = join(dist, relative(root, path).replace(/\.ts$/, '.js'))
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, renameImports(stripTypeScriptTypes(readFileSync(path, 'utf8'))))
}

// What `#folder/file.ts` means in dist.
const scope = { type: 'module', imports: { '#*.ts': { types: './src/*.d.ts', default: './src/*.js' } } }
writeFileSync(join(dist, 'package.json'), `${JSON.stringify(scope, null, 2)}\n`)

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
}

// Files beside a file: './x.ts', loaded or, by its address, started.
function renameImports(text: string): string {
  return text.replace(/(\bfrom |\bimport |\bimport\(|\bnew URL\()(['"])(\.\/[^'"]+)\.ts\2/g, '$1$2$3.js$2')
}
