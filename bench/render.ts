/** Writes docs/benchmarks.md from the committed results: `npm run bench:docs`. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { cells, type RunRecord } from './table.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const SECTIONS: readonly [string, RegExp][] = [
  ['Cost of an operation', /^chain/],
  ['Training steps and fits', /^(mlp|mlpAdam|cnn|transformer|curveFit|hessian)$/],
  ['Elementwise operations and sums', /^(add|exp|tanh|gelu|sum)$/],
  ['Operations on rows', /^(softmax|layerNorm|crossEntropy|sumRows)/],
  ['Products of matrices', /^matmul/],
  ['Convolutions', /^conv2d/],
  ['Cold start', /^cold$/],
  ['Memory', /^memory$/],
]

function tableOf(record: RunRecord, kinds: RegExp): string[] {
  const rows = record.rows.filter((r) => kinds.test(r.kind))
  const names = Object.keys(rows[0]?.values ?? {}).filter((n) => rows.some((r) => (r.values[n] ?? []).length > 0))
  if (rows.length === 0) return []
  const head = ['', 'unit', ...names, ...names.slice(1).map((n) => `${n} ÷ ours`), 'of the limit']
  const lines = [head, head.map(() => '---'), ...rows.map((r) => cells(r, names, record.limits))]
  return lines.map((line) => `| ${line.join(' | ')} |`)
}

/** One record as a chapter. */
export function chapter(title: string, record: RunRecord): string {
  const { float32, float64, copy } = record.limits
  const out = [`## ${title}`, '']
  out.push(`${record.machine}; ${record.date}. ${record.protocol}`, '')
  out.push(
    `Libraries: ${Object.entries(record.versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}.`,
  )
  out.push(
    `Limits of one thread, measured in the same run: ${float32.toFixed(1)} GFLOP/s in float32 and ${float64.toFixed(1)} in float64 (128-bit`,
    `multiply-adds), ${copy.toFixed(1)} GB/s copied (reads and writes counted).`,
    '',
  )
  for (const [name, kinds] of SECTIONS) {
    const table = tableOf(record, kinds)
    if (table.length > 0) out.push(`### ${name}`, '', ...table, '')
  }
  return out.join('\n')
}

function main(): void {
  const files = readdirSync(here('./results'))
    .filter((f) => f.endsWith('.json'))
    .sort()
  const chapters = files.map((f) => chapter(f.replace('.json', ''), JSON.parse(readFileSync(here(`./results/${f}`), 'utf8')) as RunRecord))
  const intro = `# Benchmarks

Written by \`npm run bench:docs\` from \`bench/results/*.json\`, which \`npm run bench -- --write <name>\` writes. Every library does the same work
in the same run, in turns, on one thread each. Figures are those of the best round; ratios (how many times longer the other library takes)
are of the best rounds and of the medians. What falls short of its target, and why, stands in [performance.md](performance.md).
`
  writeFileSync(here('../docs/benchmarks.md'), [intro, ...chapters].join('\n'))
}

main()
