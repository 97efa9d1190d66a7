/**
 * Is a chain of one-element operations as fast here as in another checkout? `npx tsx bench/compare.ts <its folder> [pairs]` runs both
 * in turns, in processes of their own, and prints how many times longer the other one takes: the median of the pairs, and the
 * interval that holds it with 95 % (by order statistics, whatever the distribution of the noise).
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const [folder, count = '24'] = process.argv.slice(2)
if (folder === undefined) throw new Error('which other checkout? npx tsx bench/compare.ts <its folder> [pairs]')
const here = fileURLToPath(new URL('..', import.meta.url))
const place = mkdtempSync(join(tmpdir(), 'compare-'))

/** Prints nanoseconds per operation, the least of 40 rounds: forward and backward, forward alone, without recording. */
const program = `
import { noGrad, tensor } from 'library'
const forward = () => {
  let y = tensor([0.5], { requiresGrad: true })
  for (let i = 0; i < 100; i++) y = i % 2 ? y.mul(1.01) : y.tanh()
  return y
}
const figures = [() => forward().backward(), forward, () => noGrad(forward)].map((f) => {
  for (let i = 0; i < 2000; i++) f()
  let least = Infinity
  for (let round = 0; round < 40; round++) {
    const start = performance.now()
    for (let i = 0; i < 100; i++) f()
    least = Math.min(least, (performance.now() - start) * 100)
  }
  return least
})
console.log(JSON.stringify(figures))
`
const ROWS = ['forward + backward', 'forward', 'without recording']

async function bundle(root: string, name: string): Promise<string> {
  const outfile = join(place, `${name}.mjs`)
  await build({
    stdin: { contents: program, resolveDir: root },
    alias: { library: join(root, 'src/index.ts') },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'es2023',
    external: ['koffi'],
    outfile,
    logLevel: 'error',
  })
  return outfile
}

const [ours, theirs] = [await bundle(here, 'ours'), await bundle(resolve(folder), 'theirs')]
const run = (file: string): number[] => JSON.parse(execFileSync(process.execPath, [file], { encoding: 'utf8' })) as number[]
const pairs = Array.from({ length: Number(count) }, (_, i) => {
  // Who goes first alternates.
  const [a, b] = i % 2 === 0 ? [run(ours), run(theirs)] : [run(theirs), run(ours)].reverse()
  return { ours: a!, theirs: b! }
})
/** Half the width, in ranks, of the interval of the median: 0.98·√n, rounded outwards. */
const spread = Math.ceil(0.98 * Math.sqrt(pairs.length))
for (const [k, row] of ROWS.entries()) {
  const ratios = pairs.map((p) => p.theirs[k]! / p.ours[k]!).sort((x, y) => x - y)
  const middle = ratios.length / 2
  const at = (rank: number): string => ratios[Math.max(0, Math.min(ratios.length - 1, rank))]!.toFixed(3)
  const least = (side: 'ours' | 'theirs'): number => Math.min(...pairs.map((p) => p[side][k]!))
  console.log(
    `${row.padEnd(18)} ${least('theirs').toFixed(0)} → ${least('ours').toFixed(0)} ns an operation; minima ${(least('theirs') / least('ours')).toFixed(3)}×, ` +
      `median ${at(Math.floor(middle))}× in [${at(Math.floor(middle) - spread)}, ${at(Math.ceil(middle) - 1 + spread)}]`,
  )
}
