/** Workers over the tensors' memory: one piece of work at a time, in parts that this thread and the workers take as they can. */
import { type KernelSource, sourceOf } from '../backend/source.ts'
import { AutogradError, UnsupportedError } from '../errors.ts'
import {
  ARGUMENTS,
  CLAIM,
  COUNT,
  DONE,
  FAILED,
  HELPED,
  KERNEL,
  LENGTH,
  MOST_PARTS,
  OFFSET,
  PROGRAM,
  READY,
  type Shared,
  STATUS,
  WORDS,
} from './worker.ts'

/** Bytes for the modules of kernels that were run in parts. */
const CODE_BYTES = 4 * 1048576
/** Looks at a word before sleeping. */
const LOOKS = 20000

type Call = (...args: number[]) => number | void

/** Ends a worker. */
type Stop = () => void

interface NodeWorkers {
  readonly Worker: new (program: string, options: object) => { unref(): void; terminate(): Promise<number> }
}
interface Builtins {
  getBuiltinModule?: (name: string) => unknown
}

/** May this thread sleep in Atomics.wait? Not the main thread of a page. */
function maySleep(): boolean {
  return typeof (globalThis as { process?: Builtins }).process?.getBuiltinModule === 'function' || typeof document === 'undefined'
}

/** Starts a worker that never keeps the process alive. */
function start(shared: Shared): Stop {
  const { process } = globalThis as { process?: Builtins }
  const node = process?.getBuiltinModule?.('node:worker_threads') as NodeWorkers | undefined
  if (node !== undefined) {
    // No flags, loaders or environment of the program's: the worker needs nothing but the language.
    const worker = new node.Worker(PROGRAM, { eval: true, workerData: shared, execArgv: [], env: {} })
    worker.unref()
    return () => void worker.terminate()
  }
  const url = URL.createObjectURL(new Blob([PROGRAM], { type: 'text/javascript' }))
  const worker = new Worker(url)
  worker.postMessage(shared)
  return () => {
    worker.terminate()
    URL.revokeObjectURL(url)
  }
}

/** A kernel's arguments are numbers; a part differs from the next in some of them. */
export class Pool {
  readonly #shared: Shared
  readonly #stops: Stop[] = []
  readonly #sleeps = maySleep()
  /** Numbers and places of the kernels whose modules the workers can read. */
  readonly #known = new Map<KernelSource, { readonly id: number; readonly offset: number }>()
  #codeEnd = 0
  #generation = 0
  #part = 0

  constructor(memory: WebAssembly.Memory | undefined, workers: number) {
    if (memory === undefined || typeof SharedArrayBuffer === 'undefined' || !(memory.buffer instanceof SharedArrayBuffer)) {
      throw new UnsupportedError(
        'setNumThreads: threads need shared memory, which this page has only when it is cross-origin isolated (send the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp)',
      )
    }
    this.#shared = {
      memory,
      words: new Int32Array(new SharedArrayBuffer(4 * WORDS)),
      numbers: new Float64Array(new SharedArrayBuffer(8 * ARGUMENTS * MOST_PARTS)),
      code: new Uint8Array(new SharedArrayBuffer(CODE_BYTES)),
    }
    for (let i = 0; i < workers; i++) this.#stops.push(start(this.#shared))
  }

  /** Ends the workers. */
  stop(): void {
    for (const stop of this.#stops.splice(0)) stop()
  }

  /** How many workers are running: they start when the system lets them; in pages, when the event loop turns. */
  get ready(): number {
    return Atomics.load(this.#shared.words, READY)
  }
  /** How many parts workers have run. */
  get helped(): number {
    return Atomics.load(this.#shared.words, HELPED)
  }

  /** Can workers run this kernel? */
  knows(kernel: object): boolean {
    const source = sourceOf(kernel)
    if (source === undefined || !source.imports.every((name) => name in Math)) return false
    if (this.#known.has(source)) return true
    if (this.#codeEnd + source.bytes.length > CODE_BYTES) return false
    this.#known.set(source, { id: this.#known.size, offset: this.#codeEnd })
    this.#shared.code.set(source.bytes, this.#codeEnd)
    this.#codeEnd += source.bytes.length
    return true
  }

  /** Sets the arguments of the next part. */
  part(args: readonly number[]): void {
    this.#shared.numbers.set(args, ARGUMENTS * this.#part++)
  }

  /**
   * Runs a known kernel on the parts set since the last call, each of `count` arguments, and returns when all are done: 1 if
   * a call returned a positive number, else 0.
   */
  run(kernel: Call, count: number): number {
    const { words } = this.#shared
    const source = sourceOf(kernel)!
    const { id, offset } = this.#known.get(source)!
    const parts = this.#part
    this.#part = 0
    words[KERNEL] = id
    words[OFFSET] = offset
    words[LENGTH] = source.bytes.length
    words[COUNT] = count
    words[STATUS] = 0
    words[FAILED] = 0
    words[DONE] = 0
    this.#generation = (this.#generation + 1) & 0xffffff
    Atomics.store(words, CLAIM, (this.#generation << 8) | parts)
    Atomics.notify(words, CLAIM)
    const status = this.#help(kernel, count)
    this.#wait(parts)
    if (words[FAILED] !== 0)
      throw new AutogradError('a worker thread could not run its part of an operation; setNumThreads(1) does without')
    return status | words[STATUS]!
  }

  /** Takes parts as long as there are any. */
  #help(kernel: Call, count: number): number {
    const { words, numbers } = this.#shared
    let status = 0
    let claim = Atomics.load(words, CLAIM)
    while ((claim & 255) > 0) {
      const found = Atomics.compareExchange(words, CLAIM, claim, claim - 1)
      if (found === claim) {
        const start = ((claim & 255) - 1) * ARGUMENTS
        if ((kernel(...numbers.subarray(start, start + count)) ?? 0) > 0) status = 1
        Atomics.add(words, DONE, 1)
        claim = Atomics.load(words, CLAIM)
      } else claim = found
    }
    return status
  }

  #wait(parts: number): void {
    const { words } = this.#shared
    let looks = 0
    for (let done = Atomics.load(words, DONE); done < parts; done = Atomics.load(words, DONE)) {
      if (this.#sleeps && ++looks > LOOKS) Atomics.wait(words, DONE, done)
    }
  }
}
