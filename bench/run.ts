/**
 * Measures gradtape and every peer that is installed on the same rows, interleaved in one run, one thread each, and prints
 * ratios. `npm run bench [-- --quick] [-- --rounds 5 --ms 120 --only mlp --write name --avx2]`. Peers: python3 with torch; `npm ci` in
 * bench/. `--avx2` adds a PyTorch that uses vectors of 256 bits at most, whatever the processor has.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { copyBandwidth, fmaPeak } from './peak.ts'
import { type Command, once, Peer, residentSet } from './peer.ts'
import { type Row, rows } from './rows.ts'
import { cells, OURS, type Result, type RunRecord } from './table.ts'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    ms: { type: 'string' },
    warm: { type: 'string' },
    only: { type: 'string', default: '' },
    write: { type: 'string', default: '' },
    avx2: { type: 'boolean', default: false },
  },
})
const number = (given: string | undefined, whole: number, quick: number): number =>
  given === undefined ? (options.quick ? quick : whole) : Number(given)
const rounds = number(options.rounds, 5, 2)
const ms = number(options.ms, 100, 15)
const warm = number(options.warm, 600, 60)
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** The peers as single files: what users of a bundler run, without a loader's wrappers. */
async function bundle(entry: string, name: string, external: string[] = []): Promise<string> {
  const outfile = join(external.length > 0 ? here('./') : tmpdir(), `.${name}.bundle.mjs`)
  await build({
    entryPoints: [here(entry)],
    bundle: true,
    platform: 'node',
    format: 'esm',
    minify: true,
    outfile,
    logLevel: 'error',
    external,
  })
  return outfile
}

/** What holds PyTorch and its libraries to 256-bit vectors. */
const AVX2 = { ATEN_CPU_CAPABILITY: 'avx2', MKL_ENABLE_INSTRUCTIONS: 'AVX2', ONEDNN_MAX_CPU_ISA: 'AVX2' }

const node = (name: string, ...args: string[]): Command => ({ name, file: process.execPath, args })
const installed = (name: string): boolean => existsSync(here(`./node_modules/${name}`))
const versionOf = (name: string): string => (JSON.parse(readFileSync(here(`${name}/package.json`), 'utf8')) as { version: string }).version

/** The programs that answer requests, with their versions. */
async function programs(): Promise<{ serving: Command[]; versions: Record<string, string> }> {
  const serving: Command[] = [
    node(OURS, await bundle('./peers/gradtape.ts', 'gradtape', ['koffi'])),
    { name: 'torch', file: 'python3', args: [here('./peers/torch_peer.py')] },
  ]
  if (options.avx2) serving.push({ ...serving[1]!, name: 'torch (AVX2)', env: AVX2 })
  const versions: Record<string, string> = { [OURS]: versionOf('..') }
  if (installed('@jax-js/jax')) {
    serving.push(node('jax-js', await bundle('./peers/jax.mjs', 'jax', ['@jax-js/*'])))
    versions['jax-js'] = versionOf('./node_modules/@jax-js/jax')
  }
  if (installed('@tensorflow/tfjs')) {
    serving.push(node('tfjs', await bundle('./peers/tfjs.mjs', 'tfjs', ['@tensorflow/*'])))
    versions['tfjs'] = versionOf('./node_modules/@tensorflow/tfjs')
  }
  return { serving, versions }
}

/** The programs that start once, up to the first gradient: of the packages as npm installs them, and as an application ships them, in one file. */
async function starting(): Promise<Record<string, Command[]>> {
  execFileSync('npm', ['run', 'build'], { cwd: here('..'), stdio: 'ignore' })
  const torch = { name: 'torch', file: 'python3', args: [here('./cold/torch_cold.py')] }
  const program = (name: string, path: string): Command => node(name, here('./cold/start.mjs'), path)
  const whole = [program(OURS, here('./cold/gradtape.mjs')), torch]
  const bundled = [program(OURS, await bundle('./cold/gradtape.mjs', 'cold.gradtape')), torch]
  if (installed('@jax-js/jax')) {
    whole.push(program('jax-js', here('./cold/jax.mjs')))
    bundled.push(program('jax-js', await bundle('./cold/jax.mjs', 'cold.jax')))
  }
  // Its modules for Node ask for others at run time, which one file of modules can't.
  if (installed('@tensorflow/tfjs')) whole.push(program('tfjs', here('./cold/tfjs.mjs')))
  return { 'import to first gradient, packages as installed': whole, 'import to first gradient, bundled': bundled }
}

const { serving, versions } = await programs()
const peers: Peer[] = []
for (const command of serving) {
  const peer = new Peer(command)
  const { ready, version } = await peer.answer()
  if (ready !== true) continue
  peers.push(peer)
  if (version !== undefined) versions[peer.name] = version
}
const names = peers.map((p) => p.name)
const results: Result[] = []
const wanted = (name: string, kind: string): boolean => name.includes(options.only) || kind.includes(options.only)

function report(result: Result): void {
  results.push(result)
  const [name, unit, ...rest] = cells(result, names)
  const figures = names.map((n, i) => `${n} ${rest[i]}`).join('  ')
  console.log(`${name!.padEnd(48)} ${figures} ${unit}   ${rest.slice(names.length).join('   ')}`)
}

for (const row of rows) {
  if (!wanted(row.name, row.kind)) continue
  const values: Record<string, number[]> = Object.fromEntries(names.map((n) => [n, []]))
  // A warm-up for everybody: compilers need one, and allocators reach the state where memory is reused.
  for (const peer of peers) await peer.ask(row, warm)
  for (let round = 0; round < rounds; round++) {
    for (const peer of peers) {
      const { seconds } = await peer.ask(row, ms)
      if (seconds !== undefined) values[peer.name]!.push(seconds)
    }
  }
  report({ row: row.name, kind: row.kind, unit: row.unit, work: row.work, values })
}
for (const p of peers) p.stop()

if (wanted('import to first gradient', 'cold')) {
  for (const [row, commands] of Object.entries(await starting())) {
    const values: Record<string, number[]> = Object.fromEntries(names.map((n) => [n, []]))
    // A process a round is little: the best of more rounds is steadier.
    for (let round = 0; round < 4 * rounds; round++) {
      for (const command of commands) {
        const { seconds } = await once(command)
        if (seconds !== undefined) values[command.name]?.push(seconds)
      }
    }
    report({ row, kind: 'cold', unit: 'ms', work: 1, values })
  }
}

const steps: Row[] = rows.filter((r) => !r.scoped && !r.blas && ['mlpAdam', 'cnn', 'transformer', 'curveFit'].includes(r.kind))
for (const row of options.quick ? steps.filter((r) => r.kind === 'cnn') : steps) {
  const name = `resident set, ${row.name}`
  if (!wanted(name, 'memory')) continue
  const values: Record<string, number[]> = {}
  for (const command of serving) {
    const bytes = await residentSet(command, row, options.quick ? 300 : 1000)
    values[command.name] = bytes === undefined ? [] : [bytes]
  }
  report({ row: name, kind: 'memory', unit: 'MB', work: 1, values })
}

const limits = { float32: fmaPeak('float32'), float64: fmaPeak('float64'), copy: copyBandwidth() }
console.log(
  `Limits of one thread: ${limits.float32.toFixed(1)} GFLOP/s float32, ${limits.float64.toFixed(1)} float64 (128-bit multiply-adds); ${limits.copy.toFixed(1)} GB/s copied`,
)

if (options.write !== '') {
  const record: RunRecord = {
    machine: `${cpus()[0]!.model.trim()}, ${cpus().length} cores, Node ${process.version}, one thread`,
    date: new Date().toISOString().slice(0, 10),
    protocol: `${rounds} rounds of ${ms} ms in turns after ${warm} ms of warm-up.`,
    versions,
    limits,
    rows: results,
  }
  mkdirSync(here('./results'), { recursive: true })
  writeFileSync(here(`./results/${options.write}.json`), `${JSON.stringify(record, null, 1)}\n`)
  console.log(`bench/results/${options.write}.json written; npm run bench:docs writes docs/benchmarks.md`)
}
