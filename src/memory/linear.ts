/** The one linear memory that all tensors live in: WebAssembly memory where there is one, so kernels work in place. */
import { type LinearMemory, SCRATCH_BYTES } from '../backend/backend.ts'
import { MemoryError } from '../errors.ts'

const PAGE = 65536
const GiB = 1024 ** 3
/** The lowest 64 KiB hold no tensors: address 0 stays invalid and the scratch area lives here. */
export const FIRST_BLOCK: number = PAGE

class Memory implements LinearMemory {
  memory: WebAssembly.Memory | undefined
  buffer: ArrayBufferLike
  u8!: Uint8Array
  i32!: Int32Array
  u32!: Uint32Array
  f32!: Float32Array
  f64!: Float64Array
  readonly scratch: number = PAGE - SCRATCH_BYTES
  /** Bytes that may exist at most. */
  limit: number
  private readonly reserved: number
  /** Bytes that exist now. */
  size: number

  constructor() {
    const made = reserve()
    this.memory = made.memory
    this.limit = made.limit
    this.reserved = made.limit
    this.buffer = made.memory === undefined ? new ArrayBuffer(PAGE) : made.memory.buffer
    this.size = this.buffer.byteLength
    this.refresh()
  }

  /** Makes at least `size` bytes exist. False if that is over the limit or the machine refuses. */
  grow(size: number): boolean {
    if (size <= this.size) return true
    if (size > this.limit) return false
    // Growing is a system call and renews every view: take an eighth more than asked, in whole MiB.
    const target = Math.min(this.limit, Math.ceil((size + size / 8) / 1048576) * 1048576)
    try {
      if (this.memory === undefined) {
        const bigger = new ArrayBuffer(target)
        new Uint8Array(bigger).set(this.u8)
        this.buffer = bigger
      } else {
        this.memory.grow((target - this.size) / PAGE)
        this.buffer = this.memory.buffer
      }
    } catch {
      return false
    }
    this.size = this.buffer.byteLength
    this.refresh()
    return true
  }

  /** Lets the memory grow to `bytes` at most, or to all that was reserved. */
  restrict(bytes: number): void {
    this.limit = Math.min(bytes, this.reserved)
  }

  private refresh(): void {
    this.u8 = new Uint8Array(this.buffer)
    this.i32 = new Int32Array(this.buffer)
    this.u32 = new Uint32Array(this.buffer)
    this.f32 = new Float32Array(this.buffer)
    this.f64 = new Float64Array(this.buffer)
  }
}

/** Reserves address space, not memory: shared first (threads can join), then plain; 4, 2, then 1 GiB. */
function reserve(): { memory: WebAssembly.Memory | undefined; limit: number } {
  if (typeof WebAssembly === 'undefined') return { memory: undefined, limit: 2 * GiB }
  const shared = typeof SharedArrayBuffer !== 'undefined'
  for (const share of shared ? [true, false] : [false]) {
    for (const limit of [4 * GiB, 2 * GiB, GiB]) {
      try {
        return { memory: new WebAssembly.Memory({ initial: 16, maximum: limit / PAGE, shared: share }), limit }
      } catch {
        // The next smaller reservation may fit.
      }
    }
  }
  throw new MemoryError('no address space for tensors: not even 1 GiB could be reserved')
}

let instance: Memory | undefined

/** The memory, made at first use. */
export function linearMemory(): Memory {
  return (instance ??= new Memory())
}
export type { Memory }
