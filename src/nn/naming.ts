/** Names for what a model computes, by the module and the operation that computed it. */
import { watchOperations } from '../autograd/index.ts'
import type { Tensor } from '../fluent.ts'
import { registerModuleForwardHook, registerModuleForwardPreHook } from './hooks.ts'
import type { AnyModule } from './module.ts'

/** A mode that names results of operations. */
export interface AutoNaming {
  /** Runs `fn`; results that are computed meanwhile get names. */
  <R>(fn: () => R): R
  readonly names: WeakMap<Tensor, string>
}

/** A module at work. */
interface Frame {
  readonly path: string
  readonly counts: Map<string, number>
}

/**
 * A mode that names the results of operations by where in a model they are computed: `Net.layers.0_mul_1` is the second product
 * in the first of the `layers` of a `Net`. Counts begin anew at each `call` of a module, so that a checkpoint gives the same names when
 * it computes again, and policies can tell results apart; outside of modules names are like `mul_1`. Results inside transforms have none.
 * @example
 * const model = new nn.Sequential(new nn.Linear(2, 2), new nn.Tanh())
 * const naming = nn.autoNaming()
 * const y = naming(() => model.call(ones([1, 2])))
 * naming.names.get(y) // Sequential.1_tanh_0
 */
// @__NO_SIDE_EFFECTS__
export function autoNaming(): AutoNaming {
  const names = new WeakMap<Tensor, string>()
  const paths = new WeakMap<AnyModule, string>()
  let frames: Frame[] = []
  const watching = watchOperations((op, _args, result) => {
    const { path, counts } = frames.at(-1)!
    const count = counts.get(op) ?? 0
    counts.set(op, count + 1)
    const name = `${path === '' ? '' : `${path}_`}${op}_${count}`
    if (Array.isArray(result)) for (const t of result) names.set(t, name)
    else names.set(result, name)
  })
  const enter = (module: AnyModule): void => {
    // The outermost module names those inside it.
    if (frames.length === 1 || !paths.has(module)) {
      for (const [path, inner] of module.namedModules(module.constructor.name)) paths.set(inner, path)
    }
    frames.push({ path: paths.get(module)!, counts: new Map() })
  }
  const named = <R>(fn: () => R): R =>
    watching(() => {
      const before = frames
      frames = [{ path: '', counts: new Map() }]
      const hooks = [registerModuleForwardPreHook(enter), registerModuleForwardHook(() => void frames.pop(), { alwaysCall: true })]
      try {
        return fn()
      } finally {
        for (const hook of hooks) hook.remove()
        frames = before
      }
    })
  return Object.assign(named, { names })
}
