/** Where the functions of WebAssembly modules came from, so that another thread can make them again. */

/** A module that exports one function. Its imports are the memory and functions of Math. */
export interface KernelSource {
  /** The binary module. */
  readonly bytes: Uint8Array
  /** Names of the functions it imports. */
  readonly imports: readonly string[]
}

const sources: WeakMap<object, KernelSource> = /* @__PURE__ */ new WeakMap()

/** Notes what an exported function was made from. */
export function noteSource(kernel: object, source: KernelSource): void {
  sources.set(kernel, source)
}

/** What a kernel was made from; undefined for functions that are no exports of a module. */
export function sourceOf(kernel: object): KernelSource | undefined {
  return sources.get(kernel)
}
