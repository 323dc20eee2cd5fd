import { type Findings, type Given, noFindings } from './findings.ts'
import { hintFor } from './nearest.ts'
import { entryOf, SETTING_NAMES, type SettingName, variablesOf } from './settings.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export const CONFIG_VARIABLE = 'CHRONIK_CONFIG'

const known = new Set([CONFIG_VARIABLE, ...SETTING_NAMES.flatMap(variablesOf)])

/** The environment of this process. Nothing else reads it. */
export function processEnvironment(): Environment {
  return process.env
}

/** A variable that is empty counts as not set: that is what `${NAME:-}` of a compose file leaves. */
export function readVariables(env: Environment): Findings & { file: string | undefined } {
  const findings = noFindings()
  const texts = new Map<string, string>()
  const serviceLinks: string[] = []
  for (const variable of Object.keys(env).sort()) {
    const text = env[variable]?.trim() ?? ''
    if (!variable.startsWith('CHRONIK_') && !known.has(variable)) continue
    if (isServiceLink(variable, text)) serviceLinks.push(variable)
    else if (!known.has(variable))
      findings.warnings.push(`${variable}: unknown variable, ignored${hintFor(variable, [...known])}`)
    else if (text === '') findings.warnings.push(`${variable}: is empty, ignored`)
    else texts.set(variable, text)
  }
  if (serviceLinks.length > 0) {
    findings.warnings.push(`ignored variables that an orchestrator sets for a service: ${serviceLinks.join(', ')}`)
  }
  for (const name of SETTING_NAMES) chooseVariable(name, texts, findings)
  return { ...findings, file: texts.get(CONFIG_VARIABLE) }
}

function chooseVariable(name: SettingName, texts: ReadonlyMap<string, string>, findings: Findings): void {
  const { isSecret = false } = entryOf(name).type
  let chosen: Given | undefined
  for (const variable of variablesOf(name)) {
    const text = texts.get(variable)
    if (text === undefined) continue
    if (chosen === undefined) chosen = { text, source: { from: 'environment', name: variable } }
    else if (text !== chosen.text) {
      const { source } = chosen
      const shown = (name: string, value: string) => (isSecret ? name : `${name}=${value}`)
      findings.warnings.push(
        `${shown(variable, text)}: ignored, since ${shown(source.name, chosen.text)} is set as well`,
      )
    }
  }
  if (chosen !== undefined) findings.given.set(name, chosen)
}

// Kubernetes gives every container variables for every service of its namespace, named after the service: one that is
// called `chronik-kafka` sets CHRONIK_KAFKA_PORT=tcp://10.0.0.1:9092 and CHRONIK_KAFKA_SERVICE_HOST, `kafka` sets KAFKA_PORT.
function isServiceLink(variable: string, text: string): boolean {
  if (/^(tcp|udp|sctp):\/\//i.test(text) && /_PORT(_\d+_[A-Z]+)?$/.test(variable)) return true
  return /_SERVICE_(HOST|PORT(_.+)?)$/.test(variable) || /_PORT_\d+_[A-Z]+_(ADDR|PORT|PROTO)$/.test(variable)
}
