import type { Fact } from './machine.ts'
import type { Target } from './paths/brokers.ts'
import { FIGURES, type Figure, type Figures, type Goal, type Line, meets, type Row } from './paths/row.ts'

const TARGET_TITLES: Readonly<Record<Target, string>> = {
  ours: 'ours',
  kafka: 'Kafka as shipped',
  'kafka-flush': 'Kafka, syncing each append',
}

/** What a run costs the broker goes into a table of its own. */
const COSTS: ReadonlySet<Figure> = new Set<Figure>(['broker_cpu', 'broker_rss_mb', 'broker_peak_rss_mb', 'cpu_percent'])

/** The figures of each run, by row and target. */
export class Results {
  readonly #runs = new Map<string, Figures[]>()

  add(row: Row, target: Target, figures: Figures): void {
    const key = `${row.name} ${target}`
    this.#runs.set(key, [...(this.#runs.get(key) ?? []), figures])
  }

  values(row: Row, target: Target, figure: Figure): number[] {
    const runs = this.#runs.get(`${row.name} ${target}`) ?? []
    return runs.flatMap(figures => figures[figure] ?? []).sort((a, b) => a - b)
  }

  median(row: Row, target: Target, figure: Figure): number | undefined {
    const values = this.values(row, target, figure)
    const middle = values.length >> 1
    if (values.length === 0) return undefined
    return values.length % 2 === 1 ? values[middle] : ((values[middle - 1] ?? 0) + (values[middle] ?? 0)) / 2
  }
}

export interface Report {
  readonly machine: readonly Fact[]
  readonly limits: readonly Fact[]
  readonly rows: readonly Row[]
  readonly targets: readonly Target[]
  readonly results: Results
  /** What was left out, and why. */
  readonly missing: readonly string[]
  readonly runs: number
  readonly quick: boolean
}

export function renderReport(report: Report): string {
  const list = (facts: readonly Fact[]) => facts.map(fact => `- ${fact.name}: ${fact.value}`).join('\n')
  const runs = report.runs === 1 ? 'One run.' : `Medians of ${report.runs} runs, with the least and the greatest.`
  const length = report.quick ? ' Quick: short runs, with 1 GB in the log where the row says 10 GB.' : ''
  return [
    list(report.machine),
    'Limits of the machine:',
    list(report.limits),
    ...(report.missing.length === 0 ? [] : [`Left out: ${report.missing.join('; ')}.`]),
    '## Speed',
    `${runs}${length} Broker and client share the machine. What was acknowledged is read back and compared after each run. A rate that is given as a part of another is held against the same broker, measured beside it.`,
    renderTable(report, line => !COSTS.has(line.figure)),
    '## CPU and memory',
    renderTable(report, line => COSTS.has(line.figure)),
  ].join('\n\n')
}

function renderTable(report: Report, shown: (line: Line) => boolean): string {
  const head = ['', 'figure', ...report.targets.map(target => TARGET_TITLES[target]), 'ours / shipped', 'goal', '']
  const body = report.rows.flatMap(row =>
    row.lines.filter(shown).map((line, index) => cells(report, row, line, index === 0)),
  )
  return alignTable([head, ...body])
}

function cells(report: Report, row: Row, line: Line, first: boolean): string[] {
  const { results, targets } = report
  const ours = results.median(row, 'ours', line.figure)
  const kafka = results.median(row, 'kafka', line.figure)
  const ratio = ours === undefined || kafka === undefined || kafka === 0 ? '' : (ours / kafka).toFixed(2)
  const met = line.goal && meets(line.goal, ours, kafka)
  return [
    first ? row.title : '',
    FIGURES[line.figure].title,
    ...targets.map(target =>
      formatRange(line.figure, results.values(row, target, line.figure), results.median(row, target, line.figure)),
    ),
    ratio,
    line.goal ? formatGoal(line.goal) : '',
    met === undefined ? '' : met ? 'ok' : 'below',
  ]
}

function formatRange(figure: Figure, values: readonly number[], median: number | undefined): string {
  if (median === undefined) return ''
  const [least = median, greatest = median] = [values[0], values.at(-1)]
  const text = format(figure, median)
  return values.length === 1 ? text : `${text} (${format(figure, least)}-${format(figure, greatest)})`
}

export function format(figure: Figure, value: number): string {
  const digits = FIGURES[figure].digits
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

function formatGoal(goal: Goal): string {
  return `${goal.direction} ${goal.bound.toLocaleString('en-US')}${goal.of === 'kafka' ? ' x' : ''}`
}

/** A Markdown table whose columns line up in a terminal too; the first row is the head. */
function alignTable(rows: readonly string[][]): string {
  const widths = rows[0]?.map((_, column) => Math.max(3, ...rows.map(row => row[column]?.length ?? 0))) ?? []
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const rule = `|${widths.map(width => '-'.repeat(width + 2)).join('|')}|`
  const [head = [], ...body] = rows
  return [line(head), rule, ...body.map(line)].join('\n')
}
