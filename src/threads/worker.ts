/**
 * The program of a worker, as text: it must run where it is started, in Node and in pages, from whatever a bundler made of
 * this package. What it shares with the main thread are the words and places named here.
 */

/** Words of the control block. */
export const CLAIM = 0
export const DONE = 1
export const READY = 2
export const FAILED = 3
export const STATUS = 4
export const KERNEL = 5
export const OFFSET = 6
export const LENGTH = 7
export const COUNT = 8
export const HELPED = 9
export const WORDS = 16

/** Numbers that one call can take. */
export const ARGUMENTS = 24
/** Parts that one piece of work can have; they are counted in a byte. */
export const MOST_PARTS = 255

/** What a worker gets: the tensors' memory, the control block, the arguments of all parts, the modules of kernels. */
export interface Shared {
  readonly memory: WebAssembly.Memory
  readonly words: Int32Array
  readonly numbers: Float64Array
  readonly code: Uint8Array
}

/*
 * CLAIM is a number for the work (upper 24 bits) and how many of its parts nobody has taken (lower 8). Whoever lowers it by
 * one has taken a part; the work's description cannot change before all that were taken are done. When nothing is left a
 * worker looks for some tenths of a millisecond, since waking up takes 40 µs, then sleeps until CLAIM changes.
 */
export const PROGRAM: string = `
const serve = ({ memory, words, numbers, code }) => {
  const kernels = new Map()
  const find = () => {
    const id = words[${KERNEL}]
    let kernel = kernels.get(id)
    if (kernel === undefined) {
      const start = words[${OFFSET}]
      const module = new WebAssembly.Module(code.slice(start, start + words[${LENGTH}]))
      const env = { memory }
      for (const { name, kind } of WebAssembly.Module.imports(module)) if (kind === 'function') env[name] = Math[name]
      kernel = Object.values(new WebAssembly.Instance(module, { env }).exports)[0]
      kernels.set(id, kernel)
    }
    return kernel
  }
  const work = (part) => {
    const start = part * ${ARGUMENTS}
    try {
      if (find()(...numbers.subarray(start, start + words[${COUNT}])) > 0) Atomics.store(words, ${STATUS}, 1)
    } catch {
      Atomics.store(words, ${FAILED}, 1)
    }
    Atomics.add(words, ${HELPED}, 1)
    Atomics.add(words, ${DONE}, 1)
    Atomics.notify(words, ${DONE})
  }
  Atomics.add(words, ${READY}, 1)
  for (;;) {
    let claim = Atomics.load(words, ${CLAIM})
    while ((claim & 255) > 0) {
      const found = Atomics.compareExchange(words, ${CLAIM}, claim, claim - 1)
      if (found === claim) {
        work((claim & 255) - 1)
        claim = Atomics.load(words, ${CLAIM})
      } else claim = found
    }
    let looks = 20000
    while (looks > 0 && Atomics.load(words, ${CLAIM}) === claim) looks--
    if (looks === 0) Atomics.wait(words, ${CLAIM}, claim)
  }
}
if (typeof require === 'function') serve(require('node:worker_threads').workerData)
else onmessage = (event) => serve(event.data)
`
