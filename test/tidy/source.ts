// Reads the repository's own TypeScript: of each file the facts that the rules look at.

import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAst } from 'vitest/node'

export const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Import {
  /** As written. */
  specifier: string
  /** The file's path from the root, or '' for Node's modules and packages. */
  path: string
  line: number
  /** `type`: gone at run time. `address`: the file is not loaded but started, as a thread or a process. */
  kind: 'value' | 'type' | 'address'
}

export interface FunctionFact {
  name: string
  line: number
  lines: number
  /** By name; '' for one that is taken apart. */
  parameters: string[]
}

export interface SourceFile {
  /** From the root, with slashes. */
  path: string
  text: string
  lines: number
  imports: Import[]
  /** Names that other files can import; `default` among them. */
  exported: string[]
  functions: FunctionFact[]
  /** What comes from the surroundings and not from an import, a parameter or a declaration: `Date.now`, `process`, ... */
  globals: { name: string; line: number }[]
}

export const topFolders = ['src', 'indexer', 'query', 'test', 'bench', 'scripts']

export function readSources(): SourceFile[] {
  return topFolders.flatMap(folder =>
    filesUnder(folder)
      .filter(path => path.endsWith('.ts'))
      .map(path => parseSource(path, readFileSync(join(root, path), 'utf8'))),
  )
}

/** Paths from the root of all files in a folder, [] if there is none. */
export function filesUnder(folder: string): string[] {
  return readdirSync(join(root, '.'), { withFileTypes: true }).some(entry => entry.name === folder)
    ? readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
        .filter(entry => entry.isFile() && !entry.parentPath.includes('node_modules'))
        .map(entry => posix.join(entry.parentPath.slice(root.length).replaceAll('\\', '/'), entry.name))
        .sort()
    : []
}

interface Node {
  type: string
  start: number
  end: number
  [key: string]: unknown
}

export function parseSource(path: string, text: string): SourceFile {
  const program = parseAst(text, { lang: 'ts' }) as unknown as Node
  const lineStarts = [0, ...[...text.matchAll(/\n/g)].map(match => match.index + 1)]
  const lineAt = (position: number) => lineStarts.findLastIndex(start => start <= position) + 1
  const facts = new Facts(path, lineAt)
  facts.visit(program, null)
  return {
    path,
    text,
    lines: text.endsWith('\n') ? lineStarts.length - 1 : lineStarts.length,
    imports: facts.imports,
    exported: facts.exported,
    functions: facts.functions,
    globals: facts.globals.filter(({ name }) => !facts.declared.has(name.split('.')[0]!)),
  }
}

class Facts {
  readonly imports: Import[] = []
  readonly exported: string[] = []
  readonly functions: FunctionFact[] = []
  readonly globals: { name: string; line: number }[] = []
  readonly declared = new Set<string>()
  readonly #path: string
  readonly #lineAt: (position: number) => number

  constructor(path: string, lineAt: (position: number) => number) {
    this.#path = path
    this.#lineAt = lineAt
  }

  visit(node: Node, parent: Node | null): void {
    this.#note(node, parent)
    for (const [key, value] of Object.entries(node)) {
      for (const child of Array.isArray(value) ? value : [value]) {
        if (isNode(child) && !isPlainName(node, key)) this.visit(child, node)
      }
    }
  }

  #note(node: Node, parent: Node | null): void {
    switch (node.type) {
      case 'ImportDeclaration':
        this.#import(node)
        break
      case 'ExportNamedDeclaration':
      case 'ExportAllDeclaration':
        this.#export(node)
        break
      case 'ExportDefaultDeclaration':
        this.exported.push('default')
        break
      case 'ImportExpression':
        this.#importFrom(node.source, 'value')
        break
      case 'TSImportType':
        this.#importFrom(node.source, 'type')
        break
      case 'NewExpression':
        if (nameOf(node.callee) === 'URL') this.#fileAddress(node)
        if (nameOf(node.callee) === 'Date' && nodesOf(node.arguments).length === 0) this.#global('new Date()', node)
        break
      case 'FunctionDeclaration':
      case 'FunctionExpression':
      case 'ArrowFunctionExpression':
        this.#function(node, parent)
        break
      case 'Identifier':
        this.#identifier(node, parent)
    }
  }

  #import(node: Node): void {
    for (const specifier of nodesOf(node.specifiers)) this.declared.add(nameOf(specifier.local))
    this.#importFrom(node.source, node.importKind === 'type' ? 'type' : 'value')
  }

  #importFrom(source: unknown, kind: Import['kind']): void {
    if (!isNode(source) || typeof source.value !== 'string') return
    const specifier = source.value
    const line = this.#lineAt(source.start)
    this.imports.push({ specifier, path: resolve(this.#path, specifier), line, kind })
  }

  #export(node: Node): void {
    this.#importFrom(node.source, node.exportKind === 'type' ? 'type' : 'value')
    for (const specifier of nodesOf(node.specifiers)) this.exported.push(nameOf(specifier.exported))
    if (!isNode(node.declaration)) return
    const { declaration } = node
    if (isNode(declaration.id)) this.exported.push(nameOf(declaration.id))
    for (const { id } of nodesOf(declaration.declarations)) this.exported.push(...boundNames(id))
  }

  // new URL('./worker.ts', import.meta.url): how a file names another one that it starts.
  #fileAddress(node: Node): void {
    const [first, second] = nodesOf(node.arguments)
    const besideThisFile = second?.type === 'MemberExpression' && nameOf(second.property) === 'url'
    if (besideThisFile && String(first?.value).endsWith('.ts')) this.#importFrom(first, 'address')
  }

  #function(node: Node, parent: Node | null): void {
    const line = this.#lineAt(node.start)
    const name = nameOf(node.id) || nameOf(parent?.key) || nameOf(parent?.id) || 'anonymous'
    const parameters = nodesOf(node.params)
    this.functions.push({
      name,
      line,
      lines: this.#lineAt(node.end) - line + 1,
      parameters: parameters.map(parameterName),
    })
    if (isNode(node.id)) this.declared.add(nameOf(node.id))
    for (const parameter of parameters) for (const bound of boundNames(parameter)) this.declared.add(bound)
  }

  #identifier(node: Node, parent: Node | null): void {
    if (parent?.type === 'VariableDeclarator') for (const name of boundNames(parent.id)) this.declared.add(name)
    const name = nameOf(node)
    const property = parent?.type === 'MemberExpression' && parent.object === node ? nameOf(parent.property) : ''
    this.#global(property === '' ? name : `${name}.${property}`, node)
  }

  #global(name: string, node: Node): void {
    this.globals.push({ name, line: this.#lineAt(node.start) })
  }
}

// A key, a label or a type is a name, not a use of what has that name.
function isPlainName(node: Node, key: string): boolean {
  if (node.computed === true) return false
  if (node.type === 'MemberExpression') return key === 'property'
  if (key === 'key') return true
  return node.type.startsWith('TS') && !node.type.endsWith('Expression') && key !== 'body' && key !== 'members'
    ? ['typeName', 'exprName', 'id', 'label'].includes(key)
    : false
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string'
}

function nodesOf(value: unknown): Node[] {
  return Array.isArray(value) ? value.filter(isNode) : []
}

function nameOf(node: unknown): string {
  return isNode(node) && typeof node.name === 'string' ? node.name : ''
}

function parameterName(node: Node): string {
  return nameOf(node) || nameOf(node.left) || nameOf(node.argument)
}

/** The names that a declaration or a parameter binds. */
function boundNames(node: unknown): string[] {
  if (!isNode(node)) return []
  if (node.type === 'Identifier') return [nameOf(node)]
  return [
    ...nodesOf(node.elements).flatMap(boundNames),
    ...nodesOf(node.properties).flatMap(property => boundNames(property.value ?? property.argument)),
    ...boundNames(node.left),
    ...boundNames(node.argument),
  ]
}

// package.json, `imports`: what an import of the repository's own files means.
const aliases: [RegExp, string][] = [
  [/^#(test|scripts|bench)\//, '$1/'],
  [/^#/, 'src/'],
]

export function resolve(from: string, specifier: string): string {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(from), specifier)
  for (const [pattern, replacement] of aliases) {
    if (pattern.test(specifier)) return specifier.replace(pattern, replacement)
  }
  return ''
}
