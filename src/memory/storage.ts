/** The bytes behind one or more tensors, and who will give them back. */
import type { TypedArray } from '../dtype.ts'

/** `ptr` of a storage whose bytes live in a typed array outside the linear memory. */
export const EXTERNAL = -1
/** `ptr` of a storage whose scope has ended. */
export const RELEASED = -2

/** A block that small storages share: given back as a whole, once none of them is reachable. */
export class Region {
  readonly ptr: number
  /** Where the next storage goes. */
  top: number
  readonly end: number
  /** Place in the collector's list, or -1. */
  track = -1
  /** Made since the last sweep. */
  fresh = true

  constructor(ptr: number, bytes: number) {
    this.ptr = ptr
    this.top = ptr
    this.end = ptr + bytes
  }
}

/** Who recycles a storage at once when its last use is over: a backward pass. */
export interface Owner {
  alloc(bytes: number): Storage
}

export class Storage {
  /** Byte address, or EXTERNAL or RELEASED. Read it only after everything that may allocate has run. */
  ptr: number
  readonly bytes: number
  /** The region of a small collected storage; it lives as long as any of its storages. */
  region: Region | null
  /** Place in the collector's list of blocks, or -1. */
  track = -1
  /** The backward pass that owns this storage, or null. */
  owner: Owner | null = null
  /** Uses counted by that owner. */
  uses = 0
  external: TypedArray | null = null

  constructor(ptr: number, bytes: number, region: Region | null) {
    this.ptr = ptr
    this.bytes = bytes
    this.region = region
  }
}
