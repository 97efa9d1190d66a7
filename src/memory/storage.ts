/** The bytes behind one or more tensors, and who will give them back. */
import type { TypedArray } from '../dtype.ts'

/** `ptr` of a storage whose bytes live in a typed array outside the linear memory. */
export const EXTERNAL = -1
/** `ptr` of a storage whose scope has ended. */
export const RELEASED = -2

/** `track` of what the collector doesn't know. In its list of old blocks places count from 0 up, in the nursery from YOUNG down. */
export const UNTRACKED = -1
export const YOUNG = -2

/** A block that small storages share: given back as a whole, once none of them is reachable. */
export class Region {
  readonly ptr: number
  /** Where the next storage goes. */
  top: number
  readonly end: number
  /** Place with the collector, or UNTRACKED. */
  track: number = UNTRACKED
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
  /** Place with the collector, or UNTRACKED. */
  track: number = UNTRACKED
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
