/** A measured program: a child process that answers requests for rows, or that reports one figure and ends. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Row } from './rows.ts'

export interface Answer {
  readonly ready?: boolean
  readonly version?: string
  readonly missing?: boolean
  readonly seconds?: number
  /** The largest resident set of the process so far, in bytes. */
  readonly resident?: number
  readonly error?: string
}

/** How a program is started. */
export interface Command {
  readonly name: string
  readonly file: string
  readonly args: readonly string[]
  /** Settings on top of those that all get. */
  readonly env?: Readonly<Record<string, string>>
}

const env = { ...process.env, OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1', TF_CPP_MIN_LOG_LEVEL: '3' }

export class Peer {
  readonly name: string
  private readonly child: ChildProcess
  private readonly waiting: ((answer: Answer) => void)[] = []
  /** Answers that came before anybody waited. */
  private readonly early: Answer[] = []
  private dead = false

  constructor({ name, file, args, env: own }: Command) {
    this.name = name
    this.child = spawn(file, args, { stdio: ['pipe', 'pipe', 'ignore'], env: { ...env, ...own } })
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

/** The figure that a fresh process prints in its last line. */
export function once({ file, args }: Command): Promise<Answer> {
  return new Promise((done) => {
    execFile(file, [...args], { env, timeout: 60000 }, (error, out) => {
      const last = out.trim().split('\n').at(-1) ?? ''
      done(error === null && last.startsWith('{') ? (JSON.parse(last) as Answer) : { missing: true })
    })
  })
}

/** Runs one row in a process of its own; how much memory it took. */
export async function residentSet(command: Command, row: Row, ms: number): Promise<number | undefined> {
  const peer = new Peer(command)
  const ready = await peer.answer()
  const answer = ready.ready === true ? await peer.ask(row, ms) : { missing: true }
  peer.stop()
  return answer.missing === true ? undefined : answer.resident
}
