// The rules of style that a program can check: each takes files and says what is wrong, in lines that name the place.

import * as tables from './layers.ts'
import type { SourceFile } from './source.ts'

export const FILE_LINES = 500
export const FUNCTION_LINES = 70
export const PARAMETERS = 4

type Rule = (file: SourceFile) => string[]

/** The folder of src that a path is in, or ''. */
export function layerOf(path: string): string {
  return /^src\/([^/]+)\//.exec(path)?.[1] ?? ''
}

const inCode = (path: string) => /^(src|indexer|query)\//.test(path)

export const importsPointUp: Rule = file => {
  if (!inCode(file.path)) return []
  return file.imports
    .filter(({ path }) => path !== '' && !mayImport(file.path, path))
    .map(({ path, line }) => `${file.path}:${line} imports ${path}, which is not above it`)
}

function mayImport(from: string, to: string): boolean {
  const [fromTop, toTop] = [from.split('/')[0]!, to.split('/')[0]!]
  if (fromTop === 'src' && toTop === 'src') return layerMayImport(layerOf(from), layerOf(to))
  if (fromTop === toTop) return true
  if (fromTop === 'src') return tables.compositionRoots.includes(layerOf(from)) && toTop in tables.outside
  const rule = tables.outside[fromTop]
  if (rule === undefined) return false
  if (toTop !== 'src') return rule.folders.includes(toTop)
  return tables.layers.indexOf(layerOf(to)) <= tables.layers.indexOf(rule.lowest)
}

function layerMayImport(from: string, to: string): boolean {
  if (from === to || tables.upward[from]?.includes(to)) return true
  const [fromAt, toAt] = [tables.layers.indexOf(from), tables.layers.indexOf(to)]
  return fromAt >= 0 && toAt >= 0 && toAt < fromAt && to !== 'cli'
}

export const importsUseDoors: Rule = file => {
  if (!inCode(file.path)) return []
  return file.imports
    .filter(({ path }) => path.startsWith('src/') && layerOf(path) !== layerOf(file.path) && !isPublic(file.path, path))
    .map(({ path, line }) => {
      const layer = layerOf(path)
      return `${file.path}:${line} imports ${path} and not the door src/${layer}/${layer}.ts`
    })
}

function isPublic(from: string, path: string): boolean {
  const layer = layerOf(path)
  const upperHalf = tables.lowerHalves[layer]
  if (upperHalf !== undefined && from.startsWith('src/')) return layerOf(from) === upperHalf
  const doors = [layer, ...(tables.verbs[layer] ?? [])]
  return (
    doors.some(door => path === `src/${layer}/${door}.ts`) ||
    tables.libraries.some(library => path.startsWith(`src/${library}/`))
  )
}

export const importsAreNamedWell: Rule = file =>
  file.imports.flatMap(({ specifier, path, line, kind }) => {
    if (kind === 'address') return []
    const where = `${file.path}:${line} imports '${specifier}'`
    if (specifier.startsWith('../')) return [`${where}: across folders it is #folder/file.ts`]
    if (path !== '' && !path.endsWith('.ts')) return [`${where}: a file of ours is named with its .ts`]
    if (inCode(file.path) && specifier.startsWith('#') && samePlace(file.path, path))
      return [`${where}: beside it is ./`]
    return []
  })

function samePlace(one: string, other: string): boolean {
  return one.slice(0, one.lastIndexOf('/')) === other.slice(0, other.lastIndexOf('/'))
}

export const systemIsBehindPorts: Rule = file => {
  if (!inCode(file.path)) return []
  const layer = layerOf(file.path)
  const allowed = [...tables.pureModules, ...(tables.nodeModules[layer] ?? [])]
  const modules = file.imports
    .filter(({ specifier }) => specifier.startsWith('node:') && !allowed.includes(specifier))
    .map(({ specifier, line }) => `${file.path}:${line} uses ${specifier}, which is not for ${layer || 'this folder'}`)
  const banned = tables.ambient.filter(name => !tables.ambientIn[layer]?.includes(name))
  const globals = file.globals
    .filter(({ name }) => banned.includes(name) || banned.includes(name.split('.')[0]!))
    .map(({ name, line }) => `${file.path}:${line} uses ${name}: it is handed a port instead`)
  return [...modules, ...globals]
}

/** In Node 20 what joins signals stays with them for as long as they live, and takes longer each time. */
export const signalsAreLetGo: Rule = file => {
  if (!file.path.startsWith('src/')) return []
  return file.globals
    .filter(({ name }) => name === 'AbortSignal.any')
    .map(({ line }) => `${file.path}:${line} uses AbortSignal.any: abortedWith can be let go`)
}

export const filesAreShort: Rule = file => {
  const allowed = tables.longFiles[file.path]
  if (allowed === undefined) {
    return file.lines > FILE_LINES ? [`${file.path} has ${file.lines} lines; ${FILE_LINES} are enough`] : []
  }
  if (file.lines <= FILE_LINES) return [`${file.path} is short now: take it off the list`]
  return file.lines > allowed.lines ? [`${file.path} has grown to ${file.lines} lines`] : []
}

export const functionsAreShort: Rule = file => {
  if (file.path.startsWith('test/')) return []
  return file.functions.flatMap(({ name, line, lines, parameters }) => {
    const where = `${file.path}:${line} ${name}`
    const limit = tables.longFunctions[`${file.path} ${name}`]?.lines ?? FUNCTION_LINES
    const problems = lines > limit ? [`${where} has ${lines} lines; ${limit} are enough`] : []
    const count = parameterCount(parameters)
    // A kernel takes numbers one by one: an object would be allocated per call.
    if (count > PARAMETERS && !isKernel(file.path)) {
      problems.push(`${where} has ${count} parameters: more than ${PARAMETERS} become an options object`)
    }
    return problems
  })
}

// A range of bytes is one thing that takes three parameters, because cutting a view would cost more: (bytes, from, to).
function parameterCount(names: string[]): number {
  const ranges = names.filter(
    (name, i) => /bytes|into|buffer|target/i.test(name) && /^(from|at|start)/.test(names[i + 1] ?? ''),
  )
  return names.length - 2 * ranges.length
}

export function isKernel(path: string): boolean {
  return path.endsWith('.kernel.ts')
}

const emptyNames = ['utils', 'util', 'helpers', 'helper', 'misc', 'common', 'legacy', 'fix', 'new', 'old', 'index']

export const filesHaveNames: Rule = file => {
  const name = file.path.slice(file.path.lastIndexOf('/') + 1)
  const words = name.replace(/\.ts$/, '').split(/[-.]/)
  const problems = words.filter(word => emptyNames.includes(word) || /^v\d+$/.test(word))
  // An index of records is a thing; a file named index alone is a barrel.
  const bad = problems.filter(word => word !== 'index' || words.length === 1)
  if (!/^[a-z0-9]+([-.][a-z0-9]+)*\.ts$/.test(name)) return [`${file.path}: names are lower case, words joined by -`]
  return bad.map(word => `${file.path}: '${word}' says nothing about what is in it`)
}

export const exportsHaveNames: Rule = file =>
  file.exported.includes('default') ? [`${file.path} has a default export: exports are named`] : []

const unfinished = /\b(TODO|FIXME|XXX|HACK)\b|\bfor now\b|\bnot (yet )?implemented\b/i
const skipped = /\b(it|test|describe)\.(only|skip|todo)\b/

export const nothingIsUnfinished: Rule = file =>
  file.text.split('\n').flatMap((text, i) => {
    if (file.path.startsWith('test/tidy/rules')) return []
    const found = unfinished.exec(text)?.[0] ?? skipped.exec(text)?.[0]
    return found === undefined ? [] : [`${file.path}:${i + 1} says '${found}': finish it or leave it out`]
  })

/** A file of src that only its unit tests use is dead. */
export function everythingIsUsed(files: SourceFile[]): string[] {
  const byPath = new Map(files.map(file => [file.path, file]))
  const isRoot = (path: string) =>
    tables.entries.includes(path) || (!path.startsWith('src/') && !path.startsWith('test/unit/'))
  const reached = new Set(files.filter(({ path }) => isRoot(path)))
  for (const file of reached) {
    for (const { path } of file.imports) {
      const target = byPath.get(path)
      if (target !== undefined) reached.add(target)
    }
  }
  return files
    .filter(file => file.path.startsWith('src/') && !reached.has(file))
    .map(file => `${file.path} is not used by the program`)
}

/** Values do not depend on each other in circles; types may. */
export function importsHaveNoCircles(files: SourceFile[]): string[] {
  const byPath = new Map(files.map(file => [file.path, file]))
  const state = new Map<string, 'open' | 'done'>()
  const problems: string[] = []
  const visit = (file: SourceFile, trail: string[]) => {
    if (state.get(file.path) === 'done') return
    if (state.get(file.path) === 'open') {
      problems.push(`a circle of imports: ${[...trail.slice(trail.indexOf(file.path)), file.path].join(' > ')}`)
      return
    }
    state.set(file.path, 'open')
    for (const { path, kind } of file.imports) {
      const target = byPath.get(path)
      if (target !== undefined && kind === 'value') visit(target, [...trail, file.path])
    }
    state.set(file.path, 'done')
  }
  for (const file of files) visit(file, [])
  return problems
}

/** A kernel has a header with its budget, a bench that the header names, and a test. */
export function kernelsAreProved(files: SourceFile[]): string[] {
  const usedBy = (kernel: SourceFile, folder: string) =>
    files.some(({ path, imports }) => path.startsWith(folder) && imports.some(used => used.path === kernel.path))
  return files
    .filter(({ path }) => path.startsWith('src/') && isKernel(path))
    .flatMap(kernel => {
      const header = kernel.text.slice(0, kernel.text.search(/^(export|const|function|let) /m))
      const bench = /bench\/kernel\/[a-z0-9-]+\.bench\.ts/.exec(header)?.[0]
      return [
        ...(/Budget/.test(header) ? [] : [`${kernel.path}: the header has no budget`]),
        ...(bench === undefined ? [`${kernel.path}: the header names no bench`] : []),
        ...(bench !== undefined && !files.some(file => file.path === bench)
          ? [`${kernel.path}: there is no ${bench}`]
          : []),
        ...(usedBy(kernel, 'bench/kernel/') ? [] : [`${kernel.path} has no bench in bench/kernel`]),
        ...(usedBy(kernel, 'test/unit/') ? [] : [`${kernel.path} has no test in test/unit`]),
      ]
    })
}

export const rulesForEachFile: Record<string, Rule> = {
  'imports point up in the table of layers': importsPointUp,
  'other folders are entered through their door': importsUseDoors,
  'imports are named #folder/file.ts or ./file.ts': importsAreNamedWell,
  'the machine is behind ports': systemIsBehindPorts,
  'signals are let go': signalsAreLetGo,
  'files are short': filesAreShort,
  'functions are short and take few parameters': functionsAreShort,
  'files have names that say something': filesHaveNames,
  'exports have names': exportsHaveNames,
  'nothing is unfinished': nothingIsUnfinished,
}

export const rulesForAllFiles: Record<string, (files: SourceFile[]) => string[]> = {
  'every file is used': everythingIsUsed,
  'imports have no circles': importsHaveNoCircles,
  'kernels are proved': kernelsAreProved,
}
