// Runs the program of a client library against the target and makes one test of each case that it reports. The program gets the
// bootstrap address as its only argument and prints one line of JSON per case: {"client", "case", "ok", "detail"}.

import { execFile } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTarget, type Target } from '#test/support/target.ts'
import { CATALOGUE, type CaseName } from './catalogue.ts'

const SETUP_TIMEOUT_MS = 15 * 60_000
const RUN_TIMEOUT_MS = 5 * 60_000
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024

export interface ClientProgram {
  readonly client: string
  /** Why it cannot run here, or null. */
  readonly missing: string | null
  /** What all clients are asked to show by such a program. */
  readonly catalogue?: Readonly<Record<string, string>>
  /** What the client does not have, and so does not show, with the reason. */
  readonly lacks?: Partial<Record<CaseName, string>>
  /** What it shows besides. */
  readonly also?: Readonly<Record<string, string>>
  /** Installs or builds what it needs, once; returns how to run it. */
  prepare(): Promise<{ file: string; args: readonly string[] }>
}

interface Report {
  readonly client: string
  readonly case: string
  readonly ok: boolean
  readonly detail: string
}

export function describeClient(program: ClientProgram): void {
  const { client, missing, catalogue = CATALOGUE, lacks = {}, also = {}, prepare } = program
  const title = missing === null ? client : `${client} (skipped: ${missing} is not installed)`
  describe.skipIf(missing !== null)(title, () => {
    let target: Target | undefined
    let reports: ReadonlyMap<string, Report>
    let failure: string

    beforeAll(async () => {
      const { file, args } = await prepare()
      target = await openTarget(['--group-initial-rebalance-delay-ms', '100'])
      const { reported, rest } = await run(file, [...args, target.address])
      reports = new Map(reported.map(report => [report.case, report]))
      failure = rest
    }, SETUP_TIMEOUT_MS + RUN_TIMEOUT_MS)

    afterAll(() => target?.close())

    for (const [name, sentence] of Object.entries({ ...catalogue, ...also })) {
      const reason = lacks[name as CaseName]
      it.skipIf(reason !== undefined)(reason === undefined ? sentence : `${sentence} (${reason})`, () => {
        const report = reports.get(name)
        expect(report, `the program said nothing of ${name}:\n${failure}`).toBeDefined()
        expect(report!.ok, `${report!.detail}\n${target!.output()}`).toBe(true)
      })
    }

    it('reports nothing but the cases above', () => {
      const known = Object.keys({ ...catalogue, ...also }).filter(name => lacks[name as CaseName] === undefined)
      expect([...reports.keys()].sort()).toEqual(known.sort())
    })
  })
}

function run(file: string, args: readonly string[]): Promise<{ reported: Report[]; rest: string }> {
  return new Promise(resolve => {
    const options = { timeout: RUN_TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES }
    execFile(file, args, options, (error, stdout, stderr) => {
      const lines = stdout.split('\n').filter(line => line.startsWith('{'))
      const reported = lines.map(line => JSON.parse(line) as Report)
      resolve({ reported, rest: `${error?.message ?? ''}\n${stderr.slice(-4_000)}` })
    })
  })
}
