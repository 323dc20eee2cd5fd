// What the documents say about the code is true.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { handlers } from '#kafka/handlers/handlers.ts'
import { apisOfKafka } from '#scripts/docs/apis-of-kafka.ts'
import { generatedPages } from '#scripts/docs/generated.ts'
import { layers } from './layers.ts'
import { filesUnder, readSources, root } from './source.ts'

const read = (path: string) => readFileSync(join(root, path), 'utf8')
const sources = readSources()
const pages = [...readdirSync(root), ...filesUnder('docs')].filter(path => path.endsWith('.md'))

/** Texts in backticks, outside of blocks. */
function codeSpans(markdown: string): string[] {
  return [...markdown.replace(/^```.*?^```/gms, '').matchAll(/`([^`\n]+)`/g)].map(match => match[1]!)
}

const ownPath = /^(src|indexer|query|test|fixtures|bench|docs|scripts|bin)\/[\w./-]+$/

describe('the documents', () => {
  it.each(Object.keys(generatedPages))('%s is what the code says (npm run docs)', path => {
    expect(existsSync(join(root, path)) ? read(path) : '').toBe(generatedPages[path]!())
  })

  it('list every API of Kafka once, with what it is for, and all that are served here among them', () => {
    const keys = apisOfKafka.map(({ key }) => key)
    expect(new Set(keys).size).toBe(keys.length)
    expect(apisOfKafka.filter(({ area }) => area === '').map(({ name }) => name)).toEqual([])
    expect([...handlers.keys()].filter(key => !keys.includes(key))).toEqual([])
  })

  it('name only files that exist', () => {
    const missing = pages.flatMap(page =>
      codeSpans(read(page))
        .filter(span => ownPath.test(span) && !existsSync(join(root, span)))
        .map(span => `${page} names ${span}`),
    )
    expect(missing).toEqual([])
  })

  it('link only to files that exist', () => {
    const missing = pages.flatMap(page =>
      [...read(page).matchAll(/\]\(([^)\s#]+)(#[^)]*)?\)/g)]
        .map(match => match[1]!)
        .filter(target => !/^[a-z]+:/.test(target) && !existsSync(join(root, dirname(page), target)))
        .map(target => `${page} links to ${target}`),
    )
    expect(missing).toEqual([])
  })

  it('list in docs/ARCHITECTURE.md the folders of src that there are, in the order of the layers', () => {
    const listed = [...read('docs/ARCHITECTURE.md').matchAll(/^\| \[([a-z-]+)\]\(\.\.\/src\/\1\) \|/gm)].map(
      match => match[1]!,
    )
    const folders = readdirSync(join(root, 'src'))
    expect(listed).toEqual(layers.filter(layer => folders.includes(layer)))
    expect([...folders].sort()).toEqual([...listed].sort())
  })

  it('name in docs/DATA-PATH.md only functions that exist', () => {
    const exported = new Set(sources.filter(({ path }) => path.startsWith('src/')).flatMap(source => source.exported))
    const names = codeSpans(read('docs/DATA-PATH.md')).map(span => span.replace(/[.(].*$/, ''))
    expect(names.filter(name => /^[a-z]+[A-Z]\w*$/.test(name) && !exported.has(name))).toEqual([])
  })

  it('explain every dependency, and none that is gone', () => {
    const { dependencies, devDependencies, optionalDependencies } = JSON.parse(read('package.json'))
    const used = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies })
    const explained = [...read('docs/decisions/dependencies.md').matchAll(/^\| `([^`]+)` \|/gm)].map(match => match[1]!)
    expect(explained.sort()).toEqual(used.sort())
  })
})

describe('the comments', () => {
  it('name only files that exist', () => {
    const named = /(?<![\w./-])(docs|bench|test|src|scripts)\/[\w./-]+\.(ts|md)\b/g
    const missing = sources.flatMap(({ path, text }) =>
      path.startsWith('test/tidy/rules')
        ? []
        : [...text.matchAll(named)]
            .filter(match => !existsSync(join(root, match[0])))
            .map(match => `${path} names ${match[0]}`),
    )
    expect(missing).toEqual([])
  })
})
