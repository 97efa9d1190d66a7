/** Storages that one backward pass owns: counted, and recycled as soon as their last use is over. */
import { collector } from './collector.ts'
import { type Owner, RELEASED, type Storage } from './storage.ts'

export class Area implements Owner {
  /** Made since the last `settle`: so many of these. (Cutting an array short costs more than counting.) */
  private readonly fresh: (Storage | null)[] = []
  private made = 0

  /** A storage for a gradient or a temporary of a rule. May sweep: read no pointer before. */
  alloc(bytes: number): Storage {
    const storage = collector().block(bytes)
    storage.owner = this
    this.fresh[this.made++] = storage
    return storage
  }

  /** One more place of the engine holds this storage. */
  use(storage: Storage): void {
    if (storage.owner === this) storage.uses++
  }

  /** A place of the engine lets go of this storage. */
  drop(storage: Storage): void {
    if (storage.owner === this && --storage.uses === 0) recycle(storage)
  }

  /** May the engine write into this storage? Only if it is the sole holder. */
  sole(storage: Storage): boolean {
    return storage.owner === this && storage.uses === 1
  }

  /** Recycles what a rule made and didn't hand out. */
  settle(): void {
    const { fresh, made } = this
    for (let i = 0; i < made; i++) {
      const storage = fresh[i]!
      // A pass that somebody holds keeps nothing alive.
      fresh[i] = null
      if (storage.owner === this && storage.uses === 0) recycle(storage)
    }
    this.made = 0
  }
}

function recycle(storage: Storage): void {
  const c = collector()
  c.recycled++
  const ptr = storage.ptr
  storage.owner = null
  storage.ptr = RELEASED
  if (ptr >= 0) c.free(storage, ptr)
}

/** Somebody outside the engine may now hold this storage: from here on the collector decides. */
export function escape(storage: Storage): void {
  if (storage.owner === null) return
  storage.owner = null
  storage.uses = 0
  const c = collector()
  c.escaped++
  c.adopt(storage)
}
