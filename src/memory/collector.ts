/**
 * Collected storages: small ones bump-allocated in regions, large ones tracked one by one. The JavaScript collector
 * decides what is dead; because it doesn't see linear memory, a sweep asks it at pressure.
 */
import { MemoryError } from '../errors.ts'
import { type Heap, heap } from './heap.ts'
import { type Lister, NONE, Nursery, nodeLister, TRACKED_BYTES } from './nursery.ts'
import { RELEASED, Region, Storage, UNTRACKED, YOUNG } from './storage.ts'

export const REGION_BYTES = 65536
/** Storages up to this size share regions. */
export const SMALL_BYTES = 4096
const MiB = 1048576
/** Sweeps may take this share of all time; one that can't be paid for yet waits while memory lasts. */
const SWEEP_SHARE = 0.04
/** What a first sweep is taken to cost, in milliseconds per byte of the JavaScript heap; later ones are known. */
const SWEEP_PACE = 0.8 / MiB
/** Milliseconds of sweeps that are free. */
const CREDIT = 40
/** A JavaScript heap of this size is swept quickly; what lives beyond it makes sweeps dear. */
const EASY_HEAP = 32 * MiB
/** How far the budget is stretched at most while sweeps are too dear: by so many bytes per byte beyond, up to a multiple. */
const STRETCH = { bytes: 6, most: 8 }
/** Long-lived small storages have regions of their own, after the ones by size. */
const PERSISTENT = 4
/** Where survivors are sparse, a region has room for so many storages: one that lives pins no more. */
const FEW = 4

/** Bytes allocated before the nursery opens: what allocates less pays nothing for it. */
const OPENING = 2 * MiB
/** Bytes that may be tracked in the nursery: beyond it caches forget blocks before they come back, below it sweeps take too much time. */
const YOUNG_BUDGET = 32 * MiB

/** The ways to make the engine collect now; absent in browsers. */
interface Engine {
  gc(): void
  /** Collects new objects only. */
  minor(): void
  clearKept(): void
  lister: Lister | null
  /** Bytes of the JavaScript heap in use. */
  heapUsed(): number
}

/** Figures of the allocator, in bytes, counts and milliseconds. */
export interface MemoryStats {
  /** Bytes of linear memory held by tensors and regions, in whole blocks. */
  used: number
  /** Bytes of linear memory that have been handed out so far, used or free now: what weighs on resident memory. */
  reserved: number
  /** Size of the linear memory, in bytes; what lies beyond `reserved` has never been touched. */
  linear: number
  /** Most bytes ever used. */
  peak: number
  /** Bytes of `used` that kernels keep as scratch. */
  workspace: number
  /** Storages with a block of their own (larger than 4 KiB, or escaped from a backward pass) that have not been collected. */
  blocks: number
  /** Regions, 64 KiB shared by small storages (or few of them, where few survive), that have not been collected. */
  regions: number
  /** Bytes that may be allocated between two sweeps; grows with what lives, and while sweeps would cost too much time. */
  budget: number
  sweeps: number
  /** Sweeps of what was made last, at a fraction of the cost. */
  youngSweeps: number
  /** Milliseconds spent in sweeps of both kinds. */
  sweepTime: number
  /** Bytes that sweeps gave back. */
  swept: number
  /** Storages of backward passes that were given back at once, without the collector: hits of the engine's recycling. */
  recycled: number
  /** Storages of backward passes that were left to the collector because somebody may hold them: its misses. */
  escaped: number
}

export class Collector {
  readonly heap: Heap
  /** The smallest budget, in bytes. */
  minBudget: number = 256 * MiB
  /** Sweep at every allocation: for tests of the rules that keep pointers valid. */
  stress = false
  recycled = 0
  escaped = 0
  private budget: number = this.minBudget
  /** Bytes that came into the collector's hands since the last sweep, without what was found dead since. */
  private since = 0
  /** At so many bytes the next look is due: whether to sweep, or to sweep the nursery. */
  private alarm: number = OPENING
  /** What was made last. Undefined before it opens; null where there can be none. See Note [Young storages]. */
  private nursery: Nursery | null | undefined
  private youngBudget: number = YOUNG_BUDGET
  private youngSweeps = 0
  /** What was used after the last sweep. */
  private survived = 0
  /** The JavaScript heap after the last sweep; before the first, now. */
  private heapUsed = 0
  /** What the JavaScript collector decides about, with address and size: storages with a block of their own, and regions. */
  private readonly refs: WeakRef<Storage | Region>[] = []
  private readonly ptrs: number[] = []
  private readonly sizes: number[] = []
  /** Buffers nobody touches, so they take no resident memory: they tell a collector that can't be called how much its objects hold. */
  private readonly ballast = new WeakMap<object, ArrayBuffer>()
  private readonly current: (Region | null)[] = new Array<Region | null>(2 * PERSISTENT).fill(null)
  /** Regions in the list of old blocks. */
  private oldRegions = 0
  /** Regions made since the last sweep. */
  private newRegions = 0
  /** Do few storages survive, each in a region of its own? See Note [Sparse survivors]. */
  private sparse = false
  /** Scratch of the kernels. */
  private work = { ptr: 0, bytes: 0 }
  private engine: Engine | null | undefined
  private readonly born: number = performance.now()
  /** What the last sweeps took, in milliseconds. */
  private readonly lasted: number[] = []
  private sweeps = 0
  private sweepTime = 0
  private swept = 0
  /** Most bytes ever used; may be set to 0. */
  peak = 0

  constructor(h: Heap) {
    this.heap = h
  }

  /** A collected storage of `bytes`. May sweep: read no pointer before. */
  alloc(bytes: number): Storage {
    if (bytes > SMALL_BYTES || this.stress) return this.adopt(this.block(bytes))
    return this.bump(bytes, bytes <= 64 ? 0 : bytes <= 256 ? 1 : bytes <= 1024 ? 2 : 3)
  }

  /** A collected storage for what lives long: it shares no region with passing results. May sweep. */
  persistent(bytes: number): Storage {
    if (bytes > SMALL_BYTES || this.stress) return this.adopt(this.block(bytes))
    return this.bump(bytes, PERSISTENT + (bytes <= 64 ? 0 : bytes <= 256 ? 1 : bytes <= 1024 ? 2 : 3))
  }

  private bump(bytes: number, k: number): Storage {
    let region = this.current[k]!
    const size = (bytes + 15) & ~15
    if (region === null || region.top + size > region.end) region = this.nextRegion(k, size)
    const storage = new Storage(region.top, bytes, region)
    region.top += size
    return storage
  }

  /** A storage of its own block, tracked by nobody: the caller hands it to `adopt` or to `free`. May sweep. */
  block(bytes: number): Storage {
    return new Storage(this.claim(bytes), bytes, null)
  }

  /** Leaves a storage of its own block to the collector. */
  adopt(storage: Storage): Storage {
    if (storage.track !== UNTRACKED || storage.region !== null) return storage
    this.track(storage, storage.bytes)
    return storage
  }

  private track(what: Storage | Region, bytes: number): void {
    this.since += bytes + TRACKED_BYTES
    if (this.nursery) this.nursery.add(what, bytes)
    else this.watch(what, bytes)
  }

  private watch(what: Storage | Region, bytes: number): void {
    if (what instanceof Region) this.oldRegions++
    what.track = this.refs.length
    this.refs.push(new WeakRef(what))
    this.ptrs.push(what.ptr)
    this.sizes.push(bytes)
    if (this.engine === null) this.ballast.set(what, new ArrayBuffer(bytes))
  }

  /** Takes a storage out of the collector's hands. */
  disown(storage: Storage): void {
    const i = storage.track
    if (i === UNTRACKED) return
    if (i <= YOUNG) {
      this.nursery!.remove(storage)
      this.since -= storage.bytes + TRACKED_BYTES
      return
    }
    const last = this.refs.length - 1
    if (i !== last) {
      const moved = this.refs[last]!
      this.refs[i] = moved
      this.ptrs[i] = this.ptrs[last]!
      this.sizes[i] = this.sizes[last]!
      const other = moved.deref()
      if (other !== undefined) other.track = i
    }
    this.refs.pop()
    this.ptrs.pop()
    this.sizes.pop()
    storage.track = UNTRACKED
    if (this.engine === null) this.ballast.delete(storage)
  }

  /** Gives a block back at once. The caller knows that nobody will read it. */
  free(storage: Storage, ptr: number): void {
    this.disown(storage)
    this.heap.release(ptr, storage.bytes)
  }

  /** Gives `storage`, whose bytes were copied, the place of `home`, which nobody else has seen. */
  rehome(storage: Storage, home: Storage): void {
    storage.ptr = home.ptr
    storage.region = home.region
    if (home.region !== null) return
    this.disown(home)
    this.adopt(storage)
  }

  /** Gives back the block of a storage that will get another one by `refill`; nobody reads it until then. */
  hollow(storage: Storage): void {
    if (storage.track <= YOUNG) {
      this.disown(storage)
      this.watch(storage, storage.bytes)
    }
    this.heap.release(storage.ptr, storage.bytes)
    storage.ptr = RELEASED
    this.ptrs[storage.track] = NONE
  }

  isHollow(storage: Storage): boolean {
    return storage.track >= 0 && this.ptrs[storage.track] === NONE
  }

  /** Moves the block of `from`, which nobody will read again, into a hollow storage of the same size. */
  refill(storage: Storage, from: Storage): void {
    storage.ptr = from.ptr
    this.ptrs[storage.track] = from.ptr
    from.ptr = RELEASED
  }

  setBudget(bytes: number): void {
    this.minBudget = bytes
    this.budget = bytes
    this.youngBudget = this.leastYoung()
    this.alarm = Math.min(this.alarm, this.youngBudget)
  }

  /** The address of at least `bytes` of scratch, good until the next call. May sweep: read other addresses after. */
  workspace(bytes: number): number {
    if (bytes <= this.work.bytes) return this.work.ptr
    if (this.work.bytes > 0) this.heap.release(this.work.ptr, this.work.bytes)
    this.work = { ptr: 0, bytes: 0 }
    const size = Math.max(bytes, REGION_BYTES)
    this.work = { ptr: this.mustAlloc(size), bytes: size }
    return this.work.ptr
  }

  /** A region for scopes: in nobody's list until `adoptRegion`. */
  region(): Region {
    return this.cut(REGION_BYTES)
  }

  private cut(bytes: number): Region {
    return new Region(this.claim(bytes), bytes)
  }

  /** The address of a new block, after a look at whether to sweep. */
  private claim(bytes: number): number {
    if (this.since >= this.alarm || this.stress) this.press()
    return this.mustAlloc(bytes)
  }

  /** Leaves a region to the collector. */
  adoptRegion(region: Region): void {
    this.newRegions++
    this.track(region, region.end - region.ptr)
  }

  freeRegion(region: Region): void {
    this.heap.release(region.ptr, region.end - region.ptr)
  }

  // Note [Sparse survivors]
  // A region is given back as a whole, so one small tensor that is kept pins 64 KiB. To know who lives where would take a
  // WeakRef per small tensor (about 1 µs, and dear sweeps). Instead, when a sweep finds that many of the regions made since
  // the last one survive, the next regions hold FEW storages each, until a sweep finds that hardly any, or nearly all, survive.

  private nextRegion(k: number, size: number): Region {
    const region = this.cut(this.sparse ? FEW * size : REGION_BYTES)
    this.adoptRegion(region)
    this.current[k] = region
    return region
  }

  private mustAlloc(bytes: number): number {
    let ptr = this.heap.alloc(bytes)
    if (ptr === 0) {
      this.sweep()
      ptr = this.heap.alloc(bytes)
    }
    if (ptr === 0) {
      const mb = (n: number): string => `${(n / MiB).toFixed(1)} MiB`
      const advice =
        this.findEngine() === null
          ? '`await` once per iteration so that the collector can run, or wrap the iteration in `scope(() => …)`'
          : 'keep fewer tensors alive, or wrap iterations in `scope(() => …)`'
      throw new MemoryError(
        `out of memory: ${mb(bytes)} asked for, ${mb(this.heap.used)} live of at most ${mb(this.heap.memory.limit)}; ${advice}`,
      )
    }
    if (this.heap.used > this.peak) this.peak = this.heap.used
    return ptr
  }

  /** A look is due. */
  private press(): void {
    const nursery = this.openNursery()
    if (nursery !== null && (nursery.bytes >= this.youngBudget || this.stress)) this.sweepYoung()
    if (this.since >= this.budget || this.stress) this.pressed()
    const room = nursery === null ? Infinity : Math.max(MiB, this.youngBudget - nursery.bytes)
    this.alarm = Math.min(this.budget, this.since + room)
  }

  private openNursery(): Nursery | null {
    if (this.nursery === undefined) {
      const lister = this.findEngine()?.lister ?? null
      this.nursery = lister === null ? null : new Nursery(lister)
    }
    return this.nursery
  }

  /** The budget is used up: sweeps, unless that costs more time than has been earned and there is memory left. */
  private pressed(): void {
    if (this.sweeps === 0) this.heapUsed = this.findEngine()?.heapUsed() ?? 0
    if (!this.stress && this.since < this.bound()) {
      const earned = (performance.now() - this.born) * SWEEP_SHARE + CREDIT - this.sweepTime
      if (this.expected() > earned) {
        this.budget = Math.min(this.bound(), this.since + this.minBudget / 16)
        return
      }
    }
    this.sweep()
  }

  /** Gives back what died young; the rest stays, or counts as old. Runs where `sweep` may. */
  sweepYoung(): void {
    const nursery = this.openNursery()
    if (nursery === null) return
    const start = performance.now()
    this.findEngine()!.minor()
    const { bytes } = nursery
    const died = this.sift(nursery, false)
    this.youngSweeps++
    this.sweepTime += performance.now() - start
    // Where most of it lives on, asking more rarely finds as much.
    this.youngBudget = died < bytes / 4 ? Math.min(2 * this.youngBudget, this.budget) : this.leastYoung()
  }

  private leastYoung(): number {
    return Math.min(YOUNG_BUDGET, this.minBudget / 2)
  }

  /** Empties the nursery after a collection; the bytes that died. */
  private sift(nursery: Nursery, full: boolean): number {
    let died = 0
    nursery.sift(
      full,
      (ptr, bytes) => {
        this.heap.release(ptr, bytes)
        died += bytes
        this.since -= bytes + TRACKED_BYTES
      },
      (what, bytes) => this.watch(what, bytes),
    )
    this.swept += died
    return died
  }

  /** What the next sweep will probably take, in milliseconds: one that was slow says little, three do. */
  private expected(): number {
    return this.lasted.length === 0 ? this.heapUsed * SWEEP_PACE : Math.min(...this.lasted)
  }

  /** What may be allocated between two sweeps if their time doesn't matter. */
  private base(): number {
    // While survivors pin what is dead, what is used says little about what lives: keep the budget small.
    return Math.max(this.minBudget, this.sparse ? 0 : 2 * this.survived)
  }

  /** The most that may be allocated between two sweeps, however long they take. */
  private bound(): number {
    const base = this.base()
    const stretched = Math.min(STRETCH.most * base, base + STRETCH.bytes * Math.max(0, this.heapUsed - EASY_HEAP))
    return Math.max(this.minBudget, Math.min(stretched, (this.heap.memory.limit - this.survived) * 0.6))
  }

  /** Finds what is dead and gives it back. Runs only inside allocation, before an op has read a pointer. */
  sweep(): void {
    const start = performance.now()
    const engine = this.findEngine()
    if (engine !== null) {
      // WeakRefs read or made in this job keep their targets until the job ends, unless the list is cleared.
      engine.clearKept()
      engine.gc()
    }
    if (this.nursery) this.sift(this.nursery, true)
    const before = this.heap.used
    this.releaseDead()
    if (this.heap.poison) this.shuffle()
    engine?.clearKept()
    this.swept += before - this.heap.used
    this.sweeps++
    const took = performance.now() - start
    this.sweepTime += took
    this.lasted.push(took)
    if (this.lasted.length > 3) this.lasted.shift()
    this.since = 0
    this.alarm = 0
    this.survived = this.heap.used
    this.heapUsed = engine?.heapUsed() ?? 0
    this.budget = Math.min(this.bound(), this.base())
  }

  private releaseDead(): void {
    const { refs, ptrs, sizes } = this
    let regions = 0
    let fresh = 0
    for (let i = refs.length - 1; i >= 0; i--) {
      const alive = refs[i]!.deref()
      if (alive !== undefined) {
        if (!(alive instanceof Region)) continue
        regions++
        if (alive.fresh) fresh++
        alive.fresh = false
        continue
      }
      if (ptrs[i] !== NONE) this.heap.release(ptrs[i]!, sizes[i]!)
      const last = refs.length - 1
      if (i !== last) {
        // The last entry was visited already and is alive.
        refs[i] = refs[last]!
        ptrs[i] = ptrs[last]!
        sizes[i] = sizes[last]!
        refs[i]!.deref()!.track = i
      }
      refs.pop()
      ptrs.pop()
      sizes.pop()
    }
    const share = this.newRegions === 0 ? 0 : fresh / this.newRegions
    this.sparse = this.sparse ? share > 1 / 64 && share < 0.7 : fresh > 64 && share > 0.25
    this.oldRegions = regions
    this.newRegions = 0
  }

  /** Debugging: moves every block to another address, so that whoever kept one reads poison. */
  private shuffle(): void {
    // The storages of a region keep their addresses, but new ones go elsewhere.
    this.current.fill(null)
    for (const [i, ref] of this.refs.entries()) {
      const storage = ref.deref()!
      if (storage instanceof Region || storage.ptr < 0) continue
      const ptr = this.heap.alloc(storage.bytes)
      if (ptr === 0) continue
      this.heap.memory.u8.copyWithin(ptr, storage.ptr, storage.ptr + storage.bytes)
      this.heap.release(storage.ptr, storage.bytes)
      storage.ptr = ptr
      this.ptrs[i] = ptr
    }
  }

  /** Looked for when the first look is due, as making it takes milliseconds. */
  private findEngine(): Engine | null {
    if (this.engine === undefined) {
      this.engine = syncEngine()
      if (this.engine === null) this.weigh()
    }
    return this.engine
  }

  /** Gives what is watched already its ballast. */
  private weigh(): void {
    for (const [i, ref] of this.refs.entries()) {
      const what = ref.deref()
      if (what !== undefined) this.ballast.set(what, new ArrayBuffer(this.sizes[i]!))
    }
  }

  stats(): MemoryStats {
    return {
      used: this.heap.used,
      reserved: this.heap.reserved,
      linear: this.heap.memory.size,
      peak: this.peak,
      workspace: this.work.bytes,
      blocks: this.refs.length - this.oldRegions + (this.nursery ? this.nursery.count - this.nursery.regions : 0),
      regions: this.oldRegions + (this.nursery?.regions ?? 0),
      budget: this.budget,
      sweeps: this.sweeps,
      youngSweeps: this.youngSweeps,
      sweepTime: this.sweepTime,
      swept: this.swept,
      recycled: this.recycled,
      escaped: this.escaped,
    }
  }
}

/** Node's (and compatible runtimes') collector, callable inside a job; null elsewhere. */
function syncEngine(): Engine | null {
  try {
    const builtin = globalThis.process?.getBuiltinModule
    const v8 = builtin?.('node:v8')
    const vm = builtin?.('node:vm')
    if (v8 === undefined || vm === undefined) return null
    v8.setFlagsFromString('--expose-gc')
    const gc = vm.runInNewContext('gc') as (options?: object) => void
    // Leaving a context with a microtask queue of its own ends a job for the list of kept WeakRef targets.
    const script = new vm.Script('0')
    const context = vm.createContext({}, { microtaskMode: 'afterEvaluate' })
    const clearKept = (): void => void script.runInContext(context)
    if (typeof gc !== 'function') return null
    const { inspect } = builtin!('node:util')
    return {
      gc: () => gc(),
      minor: () => gc({ type: 'minor' }),
      clearKept,
      lister: nodeLister(inspect),
      heapUsed: () => v8.getHeapStatistics().used_heap_size,
    }
  } catch {
    return null
  }
}

let instance: Collector | undefined

/** The address of scratch for a kernel; see `Collector.workspace`. */
export function workspace(bytes: number): number {
  return collector().workspace(bytes)
}

/** The collector over the heap, made at first use. */
export function collector(): Collector {
  return (instance ??= new Collector(heap()))
}
