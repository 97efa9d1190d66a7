/** Young storages: what dies soon is found by V8's minor collections, at a fiftieth of what a full one costs. */
import { Region, Storage, UNTRACKED, YOUNG } from './storage.ts'

// Note [Young storages]
// Most results die before the next ones are made, and a block that comes back while the caches know it is written
// two to three times as fast as a cold one. V8's minor collections look at new objects only (50 µs; a full one takes 3 ms at least).
// They don't clear WeakRefs, but they do drop the members of a WeakSet that died young; and Node's `util.inspect` lists the members
// of a WeakSet, calling a method of each (see `nodeLister`). What isn't listed is dead. What lives through two
// minor collections is old for V8, and is watched by a WeakRef from then on.

/** The address, in a list, of a storage without a block. */
export const NONE = 0

/** Collections that a storage lives through here. */
const AGES = 2

/** What a tracked storage or region weighs besides its bytes, on the JavaScript heap: many tiny blocks must not put off a sweep. */
export const TRACKED_BYTES = 2048

/** What a set holds now; null if it couldn't be told. */
export type Lister = (members: WeakSet<Storage | Region>) => (Storage | Region)[] | null

/** Its tables stay for the program's life: made anew for each collection, they would be old for V8 before they are dropped. */
export class Nursery {
  /** What is tracked here weighs so much. */
  bytes = 0
  regions = 0
  count = 0
  private top = 0
  private ptrs = new Float64Array(1024)
  private sizes = new Float64Array(1024)
  private ages = new Uint8Array(1024)
  private readonly members = new WeakSet<Storage | Region>()
  private readonly list: Lister

  constructor(list: Lister) {
    this.list = list
  }

  add(what: Storage | Region, bytes: number, age = 0): void {
    if (this.top === this.ptrs.length) this.grow()
    const i = this.top++
    what.track = YOUNG - i
    this.ptrs[i] = what.ptr
    this.sizes[i] = bytes
    this.ages[i] = age
    this.members.add(what)
    this.bytes += bytes + TRACKED_BYTES
    this.count++
    if (what instanceof Region) this.regions++
  }

  private grow(): void {
    const { ptrs, sizes, ages } = this
    this.ptrs = new Float64Array(2 * ptrs.length)
    this.sizes = new Float64Array(2 * ptrs.length)
    this.ages = new Uint8Array(2 * ptrs.length)
    this.ptrs.set(ptrs)
    this.sizes.set(sizes)
    this.ages.set(ages)
  }

  /** Forgets a storage, whose entry stays and weighs on until the tables are gone through. */
  remove(what: Storage): void {
    const i = YOUNG - what.track
    this.ptrs[i] = NONE
    this.bytes -= this.sizes[i]!
    this.count--
    what.track = UNTRACKED
  }

  /**
   * After a collection: hands what is dead to `release`, and to `promote` what has lived through its collections here (or,
   * after a full one, whatever lives). Where what lives can't be told now, nothing changes.
   */
  sift(full: boolean, release: (ptr: number, bytes: number) => void, promote: (what: Storage | Region, bytes: number) => void): void {
    const { ptrs, sizes, ages } = this
    const living = this.list(this.members)
    if (living === null) return
    const young: { what: Storage | Region; bytes: number; age: number }[] = []
    for (const what of living) {
      const i = YOUNG - what.track
      if (i < 0) {
        this.members.delete(what)
        continue
      }
      ptrs[i] = NONE
      const age = ages[i]! + 1
      if (full || age === AGES) {
        this.members.delete(what)
        promote(what, sizes[i]!)
      } else young.push({ what, bytes: sizes[i]!, age })
    }
    for (let i = 0; i < this.top; i++) if (ptrs[i] !== NONE) release(ptrs[i]!, sizes[i]!)
    this.top = this.bytes = this.count = this.regions = 0
    for (const { what, bytes, age } of young) this.add(what, bytes, age)
  }
}

/** What the inspection methods of storages and regions were called on. */
let inspected: (Storage | Region)[] = []

/** Node's way to list a WeakSet; null where it doesn't list everything. */
export function nodeLister(inspect: (value: unknown, options: object) => string): Lister | null {
  for (const kind of [Storage, Region])
    Object.defineProperty(kind.prototype, Symbol.for('nodejs.util.inspect.custom'), {
      configurable: true,
      value(this: Storage | Region): string {
        inspected.push(this)
        return '*'
      },
    })
  const options = { showHidden: true, maxArrayLength: null, depth: 0, compact: true, breakLength: Infinity, customInspect: true }
  const list: Lister = (members) => {
    inspected = []
    const text = inspect(members, options)
    const all = inspected
    inspected = []
    // Where the stack has no room left, `inspect` stops without an error and says so in other words.
    return text.startsWith('WeakSet {') && text.endsWith('}') && text.split('*').length === all.length + 1 ? all : null
  }
  const some = Array.from({ length: 200 }, () => new Region(0, 0))
  const seen = new Set(list(new WeakSet(some)))
  return some.every((region) => seen.has(region)) ? list : null
}
