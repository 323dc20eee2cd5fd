#!/usr/bin/env node
// The command `chronik`: runs the program in this Node if it is a good one, else in the one that came with the dependencies.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath } from 'node:url'
import { judge, packagedNode, tooOldMessage } from './runtime.js'

// A checkout has the sources, a published package what was built from them.
const source = new URL('../src/cli/chronik.ts', import.meta.url)
const program = existsSync(source) ? source : new URL('../dist/src/cli/chronik.js', import.meta.url)

// What is compiled is kept for the next start, which is faster then and takes less memory.
const compiled = fileURLToPath(new URL('../node_modules/.cache/compiled', import.meta.url))

const verdict = judge(process.versions.node)
const packaged = verdict === 'best' ? null : packagedNode()
if (packaged !== null) {
  runIn(packaged)
} else if (verdict === 'too old') {
  console.error(tooOldMessage)
  process.exitCode = 1
} else {
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE ?? compiled)
  await import(program.href)
}

function runIn(node) {
  const env = { NODE_COMPILE_CACHE: compiled, ...process.env }
  const child = spawn(node, [fileURLToPath(program), ...process.argv.slice(2)], { stdio: 'inherit', env })
  // The terminal sends SIGINT to both. Nobody else sees that there are two, so this one passes on the rest and waits.
  process.on('SIGINT', () => {})
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', error => {
    console.error(`cannot run ${node}: ${error.message}`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    if (signal === null) {
      process.exitCode = code
      return
    }
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}
