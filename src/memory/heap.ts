/** Blocks of linear memory by size class: explicit allocation and release, no collection. */
import { FIRST_BLOCK, linearMemory, type Memory } from './linear.ts'

/** Blocks below FIRST_LARGE (up to 4 KiB) are cut from chunks; larger ones come straight from the top of memory. */
const CHUNK = 65536
/** Sixteen-byte steps up to 256 bytes, then four steps per doubling, for large blocks sixteen: at most 6 % is wasted. */
const LINEAR_CLASSES = 16
const FIRST_LARGE: number = LINEAR_CLASSES + 4 * 4

function classOf(bytes: number): number {
  if (bytes <= 256) return bytes === 0 ? 0 : (bytes - 1) >>> 4
  const last = bytes - 1
  const exponent = last < 4294967296 ? 31 - Math.clz32(last) : 32
  const part = (last - 2 ** exponent) / 2 ** exponent
  return exponent < 12
    ? LINEAR_CLASSES + (exponent - 8) * 4 + Math.floor(part * 4)
    : FIRST_LARGE + (exponent - 12) * 16 + Math.floor(part * 16)
}

function classBytes(c: number): number {
  if (c < LINEAR_CLASSES) return (c + 1) << 4
  const large = c >= FIRST_LARGE
  const steps = large ? 16 : 4
  const k = c - (large ? FIRST_LARGE : LINEAR_CLASSES)
  const exponent = (large ? 12 : 8) + Math.floor(k / steps)
  return 2 ** exponent * (1 + ((k % steps) + 1) / steps)
}

const CLASSES = classOf(4 * 1024 ** 3) + 1
const SIZES: readonly number[] = Array.from({ length: CLASSES }, (_, c) => classBytes(c))

export class Heap {
  readonly memory: Memory
  /** Fill what is freed with NaNs, so that a read after release shows. */
  poison = false
  /** Bytes in use, in whole blocks. */
  used = 0
  /** Bytes waiting in the lists of large free blocks. */
  private freeLarge = 0
  private readonly free: number[][] = Array.from({ length: CLASSES }, () => [])
  /** Merged free ranges, by address, as pairs of start and end. */
  private holes: { start: number; end: number }[] = []
  private top: number = FIRST_BLOCK

  constructor(memory: Memory) {
    this.memory = memory
  }

  /** Bytes of memory that exist, used or not. */
  get reserved(): number {
    return this.top
  }

  /** The address of a block of at least `bytes` (16-byte aligned), or 0 when there is none. */
  alloc(bytes: number): number {
    const c = classOf(bytes)
    if (!(c < CLASSES)) return 0
    const size = SIZES[c]!
    const own = this.free[c]!
    let ptr: number
    if (own.length > 0) {
      ptr = own.pop()!
      if (c >= FIRST_LARGE) this.freeLarge -= size
    } else {
      ptr = c < FIRST_LARGE ? this.carve(c, size) : this.extend(size)
      if (ptr === 0) return 0
    }
    this.used += size
    return ptr
  }

  /** Gives a block back. `bytes` is what was asked for. */
  release(ptr: number, bytes: number): void {
    const c = classOf(bytes)
    const size = SIZES[c]!
    if (this.poison) this.memory.u8.fill(0xff, ptr, ptr + size)
    this.free[c]!.push(ptr)
    this.used -= size
    if (c >= FIRST_LARGE) this.freeLarge += size
  }

  /** Cuts a chunk into blocks of one small class. */
  private carve(c: number, size: number): number {
    const chunk = this.extend(CHUNK)
    if (chunk === 0) return 0
    const list = this.free[c]!
    for (let p = chunk + CHUNK - (CHUNK % size) - size; p > chunk; p -= size) list.push(p)
    return chunk
  }

  private extend(size: number): number {
    // When more lies free in other sizes than is asked for, merging neighbours beats growing.
    if (this.freeLarge > Math.max(size, this.top >>> 1)) this.merge()
    const hole = this.fromHoles(size)
    if (hole !== 0) return hole
    if (this.memory.grow(this.top + size)) {
      const ptr = this.top
      this.top += size
      return ptr
    }
    this.merge()
    return this.fromHoles(size)
  }

  private fromHoles(size: number): number {
    for (let i = 0; i < this.holes.length; i++) {
      const hole = this.holes[i]!
      if (hole.end - hole.start < size) continue
      const ptr = hole.start
      hole.start += size
      if (hole.start === hole.end) this.holes.splice(i, 1)
      return ptr
    }
    return 0
  }

  /** Joins neighbouring large free blocks into holes of any size. */
  private merge(): void {
    const ranges = this.holes
    for (let c = FIRST_LARGE; c < CLASSES; c++) {
      for (const ptr of this.free[c]!) ranges.push({ start: ptr, end: ptr + SIZES[c]! })
      this.free[c]!.length = 0
    }
    this.freeLarge = 0
    ranges.sort((a, b) => a.start - b.start)
    const merged: { start: number; end: number }[] = []
    for (const r of ranges) {
      const last = merged[merged.length - 1]
      if (last !== undefined && last.end === r.start) last.end = r.end
      else merged.push(r)
    }
    const last = merged[merged.length - 1]
    if (last !== undefined && last.end === this.top) {
      this.top = last.start
      merged.pop()
    }
    this.holes = merged
  }
}

let instance: Heap | undefined

/** The heap over the linear memory, made at first use. */
export function heap(): Heap {
  return (instance ??= new Heap(linearMemory()))
}
