/** Scopes as users see them: blocks whose memory is given back at the end. */
import { ModeError } from './errors.ts'
import type { Tensor } from './fluent.ts'
import { currentScope, Scope } from './memory/scope.ts'
import type { Storage } from './memory/storage.ts'
import { isTensor, type TensorCore } from './tensor.ts'

/** What ends a scope; works with `using`. */
export interface ScopeGuard extends Disposable {
  end(): void
}

function tensorsIn(value: unknown, into: TensorCore[], seen: Set<unknown>): void {
  if (isTensor(value)) into.push(value)
  else if (typeof value === 'object' && value !== null && !seen.has(value) && !ArrayBuffer.isView(value)) {
    seen.add(value)
    for (const v of Array.isArray(value) ? value : Object.values(value)) tensorsIn(v, into, seen)
  }
}

function storagesOf(tensors: readonly TensorCore[]): { storages: Storage[]; graph: boolean } {
  const storages: Storage[] = []
  let graph = false
  for (const t of tensors) {
    for (let x: TensorCore | null = t; x !== null; x = x.wrap?.value ?? null) storages.push(x.storage)
    if (t.wrap?.tangent) storages.push(t.wrap.tangent.storage)
    if (t.node !== null) graph = true
    const grad = t.leaf?.has ? t.leaf.grad : null
    if (grad !== null) {
      storages.push(grad.storage)
      if (grad.node !== null) graph = true
    }
  }
  return { storages, graph }
}

/**
 * Runs `fn`; every tensor made inside is released at its end, except what it returns (in arrays or objects too), what was
 * given to `keep()`, parameters and gradients. Touching a released tensor throws ReleasedTensorError.
 * Without `fn`: a guard for `using _ = scope()`.
 * @example
 * const x = tensor(3, { requiresGrad: true })
 * const loss = scope(() => {
 *   const y = x.pow(2)
 *   y.backward()
 *   return y.item()
 * })
 * loss // 9
 * x.grad!.item() // 6
 */
export function scope(): ScopeGuard
export function scope<R>(fn: () => R): R
export function scope<R>(fn?: () => R): R | ScopeGuard {
  const inner = new Scope()
  const none = { storages: [], graph: false }
  if (fn === undefined) {
    const end = (): void => inner.end(none)
    return { end, [Symbol.dispose]: end }
  }
  let result: R
  try {
    result = fn()
  } catch (error) {
    inner.end(none)
    throw error
  }
  if (typeof result === 'object' && result !== null && typeof (result as { then?: unknown }).then === 'function') {
    inner.end({ storages: [], graph: true })
    throw new ModeError("scope: the function is async, but a scope can't cross an await. Put the synchronous parts in scopes of their own.")
  }
  const tensors: TensorCore[] = []
  tensorsIn(result, tensors, new Set())
  inner.end(storagesOf(tensors))
  return result
}

/**
 * Lets a tensor outlive the scope it was made in; returns it. Outside of scopes it does nothing.
 * @example
 * const [a, b] = scope(() => [keep(ones([2])), 1] as const)
 * a.tolist() // [1, 1]
 */
export function keep(x: Tensor): Tensor {
  const { storages, graph } = storagesOf([x])
  for (const s of storages) currentScope()?.keep(s, graph)
  return x
}
