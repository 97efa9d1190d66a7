/** How many threads run large operations: `setNumThreads`, `getNumThreads`. */
import { ArgumentError } from '../errors.ts'
import { decorateBackend } from '../execute.ts'
import { collector } from '../memory/collector.ts'
import { linearMemory } from '../memory/linear.ts'
import { Pool } from './pool.ts'
import { divided, leastWork, type Team } from './split.ts'

const MOST_THREADS = 63
const ROOM = 65536

let team: Team | undefined

function makeTeam(): Team {
  let ptr = 0
  return {
    pool: null,
    threads: 1,
    least: leastWork(),
    room(bytes) {
      if (bytes > ROOM) return 0
      if (ptr === 0) ptr = collector().heap.alloc(ROOM)
      return ptr
    },
  }
}

/**
 * Lets this many threads, the calling one among them, share the work of large operations: matrix products, convolutions,
 * elementwise loops and reductions; small ones never pay for it. 1, the default, ends the workers. They never keep a process
 * alive. Products and elementwise results are the same bits for any number of threads; sums of a whole tensor (or over its
 * first dim) are the same for the same number.
 * Errors: ArgumentError unless a positive integer, UnsupportedError without shared memory (pages that aren't cross-origin
 * isolated).
 * @example
 * setNumThreads(2)
 * getNumThreads() // 2
 * setNumThreads(1)
 * @see https://docs.pytorch.org/docs/stable/generated/torch.set_num_threads.html
 */
export function setNumThreads(threads: number): void {
  if (typeof threads !== 'number' || !Number.isInteger(threads))
    throw new ArgumentError(`setNumThreads expects an int, but got ${typeof threads === 'number' ? threads : typeof threads}`)
  if (threads < 1 || threads > MOST_THREADS)
    throw new ArgumentError(`setNumThreads expects a positive integer, at most ${MOST_THREADS}, but got ${threads}`)
  if (threads === getNumThreads()) return
  const pool = threads === 1 ? null : new Pool(linearMemory().memory, threads - 1)
  team?.pool?.stop()
  if (team === undefined) {
    team = makeTeam()
    const members = team
    decorateBackend((backend) => divided(backend, members))
  }
  team.pool = pool
  team.threads = threads
}

/**
 * How many threads share the work of large operations.
 * @example
 * getNumThreads() // 1
 * @see https://docs.pytorch.org/docs/stable/generated/torch.get_num_threads.html
 */
export function getNumThreads(): number {
  return team?.threads ?? 1
}

/** Who shares the work, for tests; undefined before threads were first asked for. */
export function threadTeam(): Team | undefined {
  return team
}
