/**
 * Measures gradtape and every peer that is installed on the same rows, interleaved in one run, one thread each, and prints
 * ratios. `npm run bench [-- --rounds 5 --ms 200 --only mlp --write name]`. Peers: python3 with torch; `npm ci` in bench/.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { type Row, rows } from './rows.ts'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    ms: { type: 'string', default: '150' },
    warm: { type: 'string', default: '1500' },
    only: { type: 'string', default: '' },
    write: { type: 'string', default: '' },
  },
})
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

class Peer {
  readonly name: string
  private readonly child: ChildProcess
  private readonly waiting: ((answer: Answer) => void)[] = []
  /** Answers that came before anybody waited. */
  private readonly early: Answer[] = []
  private dead = false

  constructor(name: string, command: string, args: readonly string[]) {
    this.name = name
    this.child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_CORETYPE: '', TF_CPP_MIN_LOG_LEVEL: '3' },
    })
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      if (!line.startsWith('{')) return
      const answer = JSON.parse(line) as Answer
      const next = this.waiting.shift()
      if (next === undefined) this.early.push(answer)
      else next(answer)
    })
    const end = (): void => {
      this.dead = true
      for (const w of this.waiting.splice(0)) w({ missing: true })
    }
    this.child.on('exit', end)
    this.child.on('error', end)
    this.child.stdin!.on('error', end)
  }

  answer(): Promise<Answer> {
    const early = this.early.shift()
    if (early !== undefined) return Promise.resolve(early)
    return this.dead ? Promise.resolve({ missing: true }) : new Promise((done) => this.waiting.push(done))
  }

  ask(row: Row, ms: number): Promise<Answer> {
    if (this.dead) return Promise.resolve({ missing: true })
    const reply = this.answer()
    this.child.stdin!.write(`${JSON.stringify({ row, ms })}\n`)
    return reply
  }

  stop(): void {
    this.child.kill()
  }
}

interface Answer {
  readonly ready?: boolean
  readonly missing?: boolean
  readonly seconds?: number
  readonly error?: string
}

/** The peers as single files: what users of a bundler run, without a loader's wrappers. */
async function bundle(entry: string, name: string, external: string[] = []): Promise<string> {
  const outfile = join(external.length > 0 ? here('./') : tmpdir(), `.${name}.bundle.mjs`)
  await build({ entryPoints: [here(entry)], bundle: true, platform: 'node', format: 'esm', outfile, logLevel: 'error', external })
  return outfile
}

async function start(): Promise<Peer[]> {
  const peers = [
    new Peer('gradtape', process.execPath, [await bundle('./peers/gradtape.ts', 'gradtape')]),
    new Peer('torch', 'python3', [here('./peers/torch_peer.py')]),
  ]
  if (existsSync(here('./node_modules/@jax-js/jax'))) {
    peers.push(new Peer('jax-js', process.execPath, [await bundle('./peers/jax.mjs', 'jax', ['@jax-js/*'])]))
  }
  if (existsSync(here('./node_modules/@tensorflow/tfjs'))) {
    peers.push(new Peer('tfjs', process.execPath, [await bundle('./peers/tfjs.mjs', 'tfjs', ['@tensorflow/*'])]))
  }
  const alive: Peer[] = []
  for (const peer of peers) if ((await peer.answer()).ready) alive.push(peer)
  return alive
}

const median = (v: readonly number[]): number => [...v].sort((a, b) => a - b)[v.length >> 1]!

function rate(row: Row, seconds: number): string {
  if (row.unit === 'GFLOP/s') return (row.work / seconds / 1e9).toFixed(1)
  if (row.unit === 'µs') return (seconds * 1e6).toFixed(seconds < 1e-4 ? 1 : 0)
  const ns = (seconds * 1e9) / row.work
  return ns.toFixed(ns < 10 ? 2 : 0)
}

const peers = await start()
const chosen = rows.filter((r) => r.name.includes(options.only) || r.kind.includes(options.only))
const others = peers.slice(1)
const table: string[][] = [['row', 'unit', ...peers.map((p) => p.name), ...others.map((p) => `${p.name} / ours (min; median)`)]]
const record: unknown[] = []
for (const row of chosen) {
  const times = new Map<Peer, number[]>(peers.map((p) => [p, []]))
  // A warm-up for everybody: compilers need one, and allocators reach the state where memory is reused.
  for (const peer of peers) await peer.ask(row, Number(options.warm))
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const peer of peers) {
      const { seconds } = await peer.ask(row, Number(options.ms))
      if (seconds !== undefined) times.get(peer)!.push(seconds)
    }
  }
  const ours = times.get(peers[0]!)!
  const cells = peers.map((p) => (times.get(p)!.length === 0 ? '–' : rate(row, Math.min(...times.get(p)!))))
  const ratios = others.map((p) => {
    const theirs = times.get(p)!
    return theirs.length === 0 || ours.length === 0
      ? '–'
      : `${(Math.min(...theirs) / Math.min(...ours)).toFixed(2)}×; ${(median(theirs) / median(ours)).toFixed(2)}×`
  })
  table.push([row.name, row.unit, ...cells, ...ratios])
  record.push({ row: row.name, unit: row.unit, seconds: Object.fromEntries(peers.map((p) => [p.name, times.get(p)])) })
  console.log(`${row.name.padEnd(48)} ${cells.map((c, i) => `${peers[i]!.name} ${c}`).join('  ')}   ${ratios.join('   ')}`)
}
for (const p of peers) p.stop()

const { fmaPeak } = await import('./peak.ts')
const peak = { float32: fmaPeak('float32'), float64: fmaPeak('float64') }
console.log(`FMA peak of one thread, 128-bit lanes: ${peak.float32.toFixed(1)} GFLOP/s float32, ${peak.float64.toFixed(1)} float64`)

if (options.write !== '') {
  const machine = `${cpus()[0]!.model.trim()}, ${cpus().length} cores; Node ${process.version}; one thread`
  const markdown = [
    `# Benchmark: ${options.write}`,
    '',
    `${machine}. ${options.rounds} interleaved rounds of ${options.ms} ms after ${options.warm} ms of warm-up; best of each; ratios are of the best and of the medians.`,
    '',
    ...table.map((r, i) => `| ${r.join(' | ')} |${i === 0 ? `\n|${' --- |'.repeat(r.length)}` : ''}`),
    '',
    `FMA peak (one thread, 128-bit): ${peak.float32.toFixed(1)} GFLOP/s float32, ${peak.float64.toFixed(1)} GFLOP/s float64.`,
    '',
  ].join('\n')
  mkdirSync(here('./results'), { recursive: true })
  writeFileSync(here(`./results/${options.write}.md`), markdown)
  writeFileSync(here(`./results/${options.write}.json`), `${JSON.stringify({ machine, peak, rows: record }, null, 1)}\n`)
}
