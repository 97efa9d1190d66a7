/** Scopes: everything allocated inside is given back at the end, except what is kept. */
import { ArgumentError, ModeError } from '../errors.ts'
import { collector, type MemoryStats, REGION_BYTES, SMALL_BYTES } from './collector.ts'
import { EXTERNAL, RELEASED, type Region, Storage } from './storage.ts'

/** What survives the end of a scope, and whether a graph made inside hangs on it. */
export interface Survivors {
  readonly storages: readonly Storage[]
  /** Some survivor's graph reads storages that nobody listed: leave everything to the collector. */
  readonly graph: boolean
}

/** Spare regions between scopes, so that a loop of scopes allocates nothing. */
const SPARES = 256
const spares: Region[] = []
let current: Scope | null = null

/** The innermost open scope. */
export function currentScope(): Scope | null {
  return current
}

/** A new storage: of the open scope if there is one, else collected. May sweep: read no pointer before. */
export function allocate(bytes: number): Storage {
  return current === null ? collector().alloc(bytes) : current.alloc(bytes)
}

/** A storage that no scope releases: parameters, gradients, optimizer state. May sweep. */
export function allocatePersistent(bytes: number): Storage {
  return collector().persistent(bytes)
}

export class Scope {
  private readonly outer: Scope | null
  private readonly storages: Storage[] = []
  private readonly regions: Region[] = []
  private readonly kept = new Set<Storage>()
  private keptGraph = false
  private region: Region | null = null
  private open = true

  constructor() {
    this.outer = current
    current = this
  }

  alloc(bytes: number): Storage {
    let storage: Storage
    if (bytes > SMALL_BYTES) storage = collector().block(bytes)
    else {
      const size = (bytes + 15) & ~15
      let region = this.region
      if (region === null || region.top + size > region.end) {
        region = spares.pop() ?? collector().region()
        region.top = region.ptr
        this.regions.push(region)
        this.region = region
      }
      storage = new Storage(region.top, bytes, region)
      region.top += size
    }
    this.storages.push(storage)
    return storage
  }

  /** Lets a storage survive this scope. */
  keep(storage: Storage, graph: boolean): void {
    this.kept.add(storage)
    this.keptGraph ||= graph
  }

  /** Ends the scope; must be the innermost one. */
  end(survivors: Survivors): void {
    if (!this.open) return
    if (current !== this) throw new ModeError('scope: scopes must end in the reverse order they began')
    this.open = false
    current = this.outer
    const keep = new Set([...this.kept, ...survivors.storages])
    if (this.keptGraph || survivors.graph) this.handOver()
    else this.recycle(keep)
  }

  /** Everything goes to the collector. */
  private handOver(): void {
    const c = collector()
    for (const storage of this.storages) {
      if (storage.region === null && storage.ptr >= 0 && storage.owner === null) c.adopt(storage)
    }
    for (const region of this.regions) c.adoptRegion(region)
  }

  private recycle(keep: ReadonlySet<Storage>): void {
    const c = collector()
    const moving: Storage[] = []
    for (const storage of this.storages) {
      if (storage.ptr === EXTERNAL || storage.ptr === RELEASED) continue
      if (keep.has(storage)) {
        if (storage.region === null) c.adopt(storage)
        else moving.push(storage)
      } else {
        const ptr = storage.ptr
        storage.ptr = RELEASED
        if (storage.region === null) c.free(storage, ptr)
      }
    }
    for (const storage of moving) {
      // The bytes of a small survivor move out of the regions that are about to be reused.
      const home = c.alloc(storage.bytes)
      c.heap.memory.u8.copyWithin(home.ptr, storage.ptr, storage.ptr + storage.bytes)
      c.rehome(storage, home)
    }
    for (const region of this.regions) {
      if (c.heap.poison) c.heap.memory.u8.fill(0xff, region.ptr, region.ptr + REGION_BYTES)
      if (spares.length < SPARES) spares.push(region)
      else c.freeRegion(region)
    }
  }
}

/**
 * Figures of the allocator; see `MemoryStats`.
 * @example
 * const { used, reserved } = memoryStats()
 * used <= reserved // true
 */
export function memoryStats(): MemoryStats {
  return collector().stats()
}

/** Settings of the allocator. */
export interface MemoryOptions {
  /**
   * Bytes that may be allocated, without those known to be dead, before the collector is asked; at least 1 MiB, default 256 MiB.
   * Twice what lives if that is more. (In Node, what dies young is found earlier, at 32 MiB or half the budget.) Beside a large
   * JavaScript heap, which makes collecting dear, it is stretched until that takes less than 4 % of the time: by six bytes per
   * byte of that heap beyond 32 MiB, at most.
   */
  readonly budget?: number
  /** Bytes that tensors may take at most; at least 1 MiB, at most (and by default) what could be reserved, 4 GiB where possible. */
  readonly limit?: number
  /**
   * Debugging: at every allocation, sweep and give each tensor another address; fill freed blocks with NaNs, so that any
   * use after release, and any address read too early, shows.
   */
  readonly stress?: boolean
}

/**
 * Changes settings of the allocator. Errors: ArgumentError for a budget or a limit under 1 MiB.
 * @example
 * configureMemory({ budget: 256 * 2 ** 20 })
 * const { used } = memoryStats()
 * used >= 0 // true
 */
export function configureMemory(options: MemoryOptions): void {
  const c = collector()
  for (const [name, bytes] of [['budget', options.budget] as const, ['limit', options.limit] as const]) {
    if (bytes !== undefined && !(bytes >= 1048576))
      throw new ArgumentError(`configureMemory: ${name} must be at least 1048576 bytes, got ${bytes}`)
  }
  if (options.budget !== undefined) c.setBudget(options.budget)
  if (options.limit !== undefined) c.heap.memory.restrict(options.limit)
  if (options.stress !== undefined) {
    c.stress = options.stress
    c.heap.poison = options.stress
  }
}
