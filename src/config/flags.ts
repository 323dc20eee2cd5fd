import { type Findings, noFindings } from './findings.ts'
import { hintFor } from './nearest.ts'
import { boolean } from './setting-types.ts'
import { entryOf, keyOf, SETTING_NAMES, type SettingName } from './settings.ts'

export const CONFIG_FLAG = '--config'

const nameOfFlag = new Map(SETTING_NAMES.map(name => [`--${keyOf(name)}`, name]))

/** `--name value`, `--name=value`, and `--name` alone for true. A flag that is repeated: the last one counts. */
export function readFlags(argv: readonly string[]): Findings & { file: string | undefined } {
  const findings = noFindings()
  let file: string | undefined
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index]!
    const [flag, attached] = splitAtEquals(argument)
    if (!flag.startsWith('-')) {
      findings.errors.push(`${argument}: unexpected; settings are given as --name value`)
      continue
    }
    const name = nameOfFlag.get(flag)
    const next = argv[index + 1]
    const isAlone = attached === undefined && (next === undefined || next.startsWith('--'))
    if (attached === undefined && !isAlone) index++
    const text = isAlone ? loneValue(name) : (attached ?? next ?? '')
    if (name === undefined && flag !== CONFIG_FLAG) {
      findings.errors.push(`${flag}: unknown flag${hintFor(flag, [CONFIG_FLAG, ...nameOfFlag.keys()])}`)
    } else if (text === '') findings.errors.push(`${flag}: needs a value`)
    else if (name === undefined) file = text
    else findings.given.set(name, { text, source: { from: 'flag', name: flag } })
  }
  return { ...findings, file }
}

function loneValue(name: SettingName | undefined): string {
  return name !== undefined && entryOf(name).type === boolean ? 'true' : ''
}

function splitAtEquals(argument: string): [string, string | undefined] {
  const at = argument.indexOf('=')
  return at < 0 ? [argument, undefined] : [argument.slice(0, at), argument.slice(at + 1)]
}
