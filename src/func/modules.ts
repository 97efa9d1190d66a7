/** Modules as functions of their parameters, for the transforms. */
import { noGrad } from '../autograd/modes.ts'
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { stack } from '../ops/join.ts'
import { checkOptions } from '../options.ts'
import { isTensor } from '../tensor.ts'

/** What is needed of a module: its parts by dotted name, and a way to run it. */
interface ModuleLike<I extends unknown[], O> {
  call(...inputs: I): O
  namedModules(): Iterable<readonly [string, object]>
  namedParameters(): Iterable<readonly [string, Tensor]>
  namedBuffers(): Iterable<readonly [string, Tensor]>
}

/** Parameters or buffers by their dotted names in a module: `'0.weight'`. */
export type NamedTensors = Readonly<Record<string, Tensor>>

/** Options of `functionalCall`. */
export interface FunctionalCallOptions {
  /** A tensor with several names in the module is replaced under all of them. Default true. */
  readonly tieWeights?: boolean
  /** Every parameter and buffer must be given. Default false: others stay. */
  readonly strict?: boolean
}

/** A property of a part of a module that holds a tensor. */
interface Place {
  readonly name: string
  readonly part: Record<string, unknown>
  readonly key: string
  readonly tensor: Tensor
}

/** Every property of `module` and its parts that holds a parameter or a buffer. */
function placesOf(module: ModuleLike<never[], unknown>): Place[] {
  const own = new Set<Tensor>([...module.namedParameters(), ...module.namedBuffers()].map(([, t]) => t))
  return [...module.namedModules()].flatMap(([prefix, part]) =>
    Object.entries(part)
      .filter((entry): entry is [string, Tensor] => isTensor(entry[1]) && own.has(entry[1] as Tensor))
      .map(([key, tensor]) => ({ name: prefix === '' ? key : `${prefix}.${key}`, part: part as Record<string, unknown>, key, tensor })),
  )
}

/**
 * `module` of `inputs` (one, or a list of them) with these tensors in the place of its own parameters and buffers, by name;
 * those that aren't given stay. The module itself is as it was afterwards.
 * Errors: ArgumentError for names it doesn't have (and, if `strict`, for names that are missing), ShapeError for other shapes.
 * @example
 * const model = new nn.Linear(2, 1)
 * const params = Object.fromEntries(model.namedParameters())
 * const loss = (p: func.NamedTensors, x: Tensor) => func.functionalCall(model, p, x).pow(2).sum()
 * const perExample = func.vmap(func.grad(loss), { inDims: [null, 0] })(params, ones([5, 2]))
 * perExample['weight']!.shape // [5, 1, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.functional_call.html
 */
export function functionalCall<I extends unknown[], O>(
  module: ModuleLike<I, O>,
  tensors: NamedTensors | readonly NamedTensors[],
  inputs: I | I[0],
  options: FunctionalCallOptions = {},
): O {
  const op = 'functionalCall'
  checkOptions(op, options, { tieWeights: 'boolean', strict: 'boolean' })
  const places = placesOf(module as unknown as ModuleLike<never[], unknown>)
  const given: Record<string, Tensor> = Object.assign({}, ...(Array.isArray(tensors) ? tensors : [tensors]))
  const known = new Map(places.map((p) => [p.name, p]))
  const unexpected = Object.keys(given).filter((name) => !known.has(name))
  const missing = options.strict ? [...known.keys()].filter((name) => !(name in given)) : []
  if (unexpected.length > 0 || missing.length > 0) {
    const lists = [
      ...(unexpected.length > 0 ? [`Unexpected key(s): ${unexpected.join(', ')}`] : []),
      ...(missing.length > 0 ? [`Missing key(s): ${missing.join(', ')}`] : []),
    ]
    throw new ArgumentError(`functionalCall: ${lists.join('. ')}. The module has ${[...known.keys()].join(', ')}`, { op })
  }
  const changed: Place[] = []
  try {
    for (const [name, tensor] of Object.entries(given)) {
      const { tensor: old } = known.get(name)!
      if (!isTensor(tensor)) throw new ArgumentError(`functionalCall: ${name} must be a tensor, got ${typeof tensor}`, { op })
      if (show(tensor.shape) !== show(old.shape)) {
        throw new ShapeError(`functionalCall: ${name} has shape ${show(old.shape)} in the module, got ${show(tensor.shape)}`, {
          op,
          shapes: [old.shape, tensor.shape],
        })
      }
      for (const place of places) {
        const same = place.name === name || (options.tieWeights !== false && place.tensor === old && !(place.name in given))
        if (!same) continue
        changed.push(place)
        place.part[place.key] = tensor
      }
    }
    return module.call(...(Array.isArray(inputs) ? (inputs as I) : ([inputs] as unknown as I)))
  } finally {
    for (const { part, key, tensor } of changed) part[key] = tensor
  }
}

/**
 * The parameters and the buffers of models of one architecture, each stacked: `[parameters, buffers]` for `vmap` over the models.
 * The parameters are new leaves.
 * Errors: ArgumentError without models or for models with different names.
 * @example
 * const models = [new nn.Linear(2, 1), new nn.Linear(2, 1)]
 * const [params, buffers] = func.stackModuleState(models)
 * const run = (p: func.NamedTensors, b: func.NamedTensors, x: Tensor) => func.functionalCall(models[0]!, [p, b], x)
 * func.vmap(run, { inDims: [0, 0, null] })(params, buffers, ones([7, 2])).shape // [2, 7, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.func.stack_module_state.html
 */
export function stackModuleState(models: readonly ModuleLike<never[], unknown>[]): [NamedTensors, NamedTensors] {
  const op = 'stackModuleState'
  if (models.length === 0) throw new ArgumentError(`${op}: Expected at least one model, got 0.`, { op })
  const stacked = (lists: readonly (readonly (readonly [string, Tensor])[])[], leaves: boolean): NamedTensors => {
    const names = lists[0]!.map(([name]) => name)
    for (const list of lists)
      if (list.length !== names.length || list.some(([name], i) => name !== names[i]))
        throw new ArgumentError(`${op}: Expected all models to be of the same class: they have different parameters or buffers`, { op })
    return Object.fromEntries(
      names.map((name, i) => {
        const t = noGrad(() => stack(lists.map((list) => list[i]![1])))
        return [name, leaves ? t.requiresGrad_(lists.some((list) => list[i]![1].requiresGrad)) : t]
      }),
    )
  }
  return [
    stacked(
      models.map((m) => [...m.namedParameters()]),
      true,
    ),
    stacked(
      models.map((m) => [...m.namedBuffers()]),
      false,
    ),
  ]
}
