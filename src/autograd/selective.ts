/** Selective checkpoints: a policy decides, operation by operation, what is kept and what is computed again. */
import { ArgumentError, GraphError, InPlaceError } from '../errors.ts'
import { isTensor, type TensorCore } from '../tensor.ts'
import type { Mode } from './modes.ts'
import { selectionMode, through } from './operations.ts'
import { alias } from './saved.ts'

/** Keep the results of an operation for the backward pass, or compute them again. What is preferred is done, here. */
export type CheckpointPolicy = 'MUST_SAVE' | 'PREFER_SAVE' | 'MUST_RECOMPUTE' | 'PREFER_RECOMPUTE'

/** What a policy is told besides the operation. */
export interface SelectiveCheckpointContext {
  /** Policies are asked in the forward pass; recomputation does what they said. */
  readonly isRecompute: boolean
  /** The result of the operation. */
  readonly opOutput: unknown
}

/** Decides for one call of an operation, by its name (`'sin'`, `'matmul'`) and operands; true means MUST_SAVE, false PREFER_RECOMPUTE. */
export type PolicyFunction = (context: SelectiveCheckpointContext, op: string, ...args: unknown[]) => CheckpointPolicy | boolean

const POLICIES: readonly unknown[] = ['MUST_SAVE', 'PREFER_SAVE', 'MUST_RECOMPUTE', 'PREFER_RECOMPUTE']

/** A result that is kept, and the version at which it was. */
interface Kept {
  readonly list: boolean
  readonly values: readonly { readonly tensor: TensorCore; readonly version: number }[]
}

/** By operation, then in the order of its calls: kept, to be recomputed, or kept and used up. */
type Results = Map<string, (Kept | 'recompute' | 'consumed')[]>

const NONDETERMINISM =
  'This can happen if the operations in the checkpointed region are nondeterministic or depend on global state that changed between forward and backward.'

function keep(result: TensorCore | TensorCore[]): Kept {
  const values = (Array.isArray(result) ? result : [result]).map((t) => ({ tensor: alias(t), version: t.vc!.value }))
  return { list: Array.isArray(result), values }
}

/**
 * The two modes of a selective checkpoint, for its `contextFn`: in the forward pass the policy is asked about each operation,
 * and results it wants saved are kept; recomputation takes them from there. `policy` is a function, or a list of the names of
 * operations whose results are saved. In-place operations run both times. Each region allows one backward.
 * Errors: ArgumentError for anything else; in the backward pass GraphError for a second one or for operations that were not
 * in the forward pass, InPlaceError for a result that was changed meanwhile (unless `allowCacheEntryMutation`).
 * @example
 * const x = ones([2, 2], { requiresGrad: true })
 * const block = (t: Tensor) => t.mm(t).tanh().sum()
 * const keep = { contextFn: () => autograd.createSelectiveCheckpointContexts(['mm']) }
 * autograd.checkpoint.with(keep)(block, x).backward()
 * x.grad!.shape // [2, 2]
 * @see https://docs.pytorch.org/docs/stable/checkpoint.html#torch.utils.checkpoint.create_selective_checkpoint_contexts
 */
export function createSelectiveCheckpointContexts(
  policy: PolicyFunction | readonly string[],
  options: { readonly allowCacheEntryMutation?: boolean } = {},
): readonly [Mode, Mode] {
  const decide = policyOf(policy)
  const results: Results = new Map()
  const forward = selectionMode('selective checkpoint', (outer) => ({
    compute: (op, args, run) => {
      const result = through(outer, op, args, run)
      const decision = decide({ isRecompute: false, opOutput: result }, op, ...args)
      if (typeof decision !== 'boolean' && !POLICIES.includes(decision)) {
        throw new ArgumentError(
          `the policy of a selective checkpoint gave ${String(decision)} for ${op}; expected ${POLICIES.join(', ')} or a boolean`,
        )
      }
      const saves = decision === true || decision === 'MUST_SAVE' || decision === 'PREFER_SAVE'
      let list = results.get(op)
      if (list === undefined) results.set(op, (list = []))
      list.push(saves ? keep(result) : 'recompute')
      return result
    },
  }))
  const recompute = selectionMode('selective checkpoint', (outer) => {
    const calls = new Map<string, number>()
    return {
      compute: <R extends TensorCore | TensorCore[]>(op: string, args: readonly unknown[], run: () => R): R => {
        const i = calls.get(op) ?? 0
        calls.set(op, i + 1)
        const list = results.get(op)
        if (list === undefined)
          throw new GraphError(`${op} encountered during backward but not found in storage. ${NONDETERMINISM}`, { op })
        const entry = list[i]
        if (entry === undefined) {
          throw new GraphError(`${op} invocation index ${i} encountered during backward but not found in storage. ${NONDETERMINISM}`, {
            op,
          })
        }
        if (entry === 'consumed') {
          throw new GraphError(
            'Trying to backward an extra time. You are only allowed to backward once on any region computed under selective activation checkpoint.',
            { op },
          )
        }
        if (entry === 'recompute') return through(outer, op, args, run)
        list[i] = 'consumed'
        const values = entry.values.map(({ tensor, version }) => {
          if (tensor.vc!.value !== version && options.allowCacheEntryMutation !== true) {
            throw new InPlaceError(
              `Tensor cached during selective activation checkpoint has been mutated: ${tensor.vc!.op} changed a result of ${op}`,
              { op },
            )
          }
          return alias(tensor)
        })
        return (entry.list ? values : values[0]!) as R
      },
    }
  })
  return [forward, recompute]
}

function policyOf(policy: unknown): PolicyFunction {
  if (typeof policy === 'function') return policy as PolicyFunction
  if (!Array.isArray(policy)) throw new ArgumentError('policy_fn_or_list must be either a function or a list of ops.')
  for (const op of policy) {
    if (typeof op !== 'string') {
      throw new ArgumentError(
        `Expected op in \`op_list\` to be an OpOverload but got: ${isTensor(op) ? 'a tensor' : String(op)}; give the name of the operation: 'sin', 'mm'`,
      )
    }
  }
  return (_context, op) => policy.includes(op)
}
