import { isMap, isScalar, LineCounter, type Node, type Pair, parseDocument } from 'yaml'
import { type Findings, noFindings } from './findings.ts'
import { hintFor } from './nearest.ts'
import { keyOf, SETTING_NAMES } from './settings.ts'

const nameOfKey = new Map(SETTING_NAMES.map(name => [keyOf(name), name]))

/** Reads a flat YAML file: `kafka-port: 9092`, one line for each setting. */
export function readSettingsFile(file: string, text: string): Findings {
  const findings = noFindings()
  const lines = new LineCounter()
  // The failsafe schema leaves every value the text it is: the type of the setting decides what it means.
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    schema: 'failsafe',
    uniqueKeys: false,
  })
  const complain = (offset: number, problem: string) => {
    findings.errors.push(`${file}:${lines.linePos(offset).line}: ${problem}`)
  }
  for (const { code, pos, message } of [...document.errors, ...document.warnings]) {
    complain(pos[0], code === 'MULTIPLE_DOCS' ? 'a second document: the file must hold one' : message)
  }
  if (findings.errors.length > 0 || document.contents === null) return findings
  if (!isMap(document.contents)) {
    complain(document.contents.range[0], 'must hold lines of the form kafka-port: 9092')
    return findings
  }
  const seen = new Set<string>()
  for (const pair of document.contents.items as Pair<Node, Node | null>[]) {
    const { key, value } = pair
    const offset = key.range?.[0] ?? 0
    const keyText = isScalar(key) ? String(key.value) : String(key)
    const name = nameOfKey.get(keyText)
    if (seen.has(keyText)) complain(offset, `${keyText}: is given twice`)
    else if (name === undefined)
      complain(offset, `${keyText}: unknown setting${hintFor(keyText, [...nameOfKey.keys()])}`)
    else if (!isScalar(value)) complain(offset, `${keyText}: needs a plain value, not a list, a map or an alias`)
    else if (String(value.value).trim() === '') complain(offset, `${keyText}: needs a value`)
    else {
      const where = `${file}:${lines.linePos(offset).line}: ${keyText}`
      findings.given.set(name, { text: String(value.value), source: { from: 'file', name: where } })
    }
    seen.add(keyText)
  }
  return findings
}
