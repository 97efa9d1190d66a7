/** Saved tensors, their hooks, allowed mutation and checkpoints behave as recorded from PyTorch (`record_saved.py`). */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import * as autograd from '../../src/autograd/index.ts'
import * as torch from '../../src/index.ts'

const { noGrad, nn } = torch
const { allowMutationOnSavedTensors, disableSavedTensorsHooks, savedTensorsHooks } = autograd.graph
const { checkpoint, checkpointSequential, createSelectiveCheckpointContexts, graphExecGroup, setCheckpointEarlyStop } = autograd
type Tensor = torch.Tensor

const recorded = JSON.parse(readFileSync(new URL('./saved.json', import.meta.url), 'utf8')) as { cases: Record<string, unknown> }

const leaf = (...values: torch.Nested[]): Tensor => torch.tensor(values, { dtype: 'float64', requiresGrad: true })
const plain = (...values: number[]): Tensor => torch.tensor(values, { dtype: 'float64' })
/** Notes something and gives something else. */
function noting<T>(log: unknown[], entry: unknown, value: T): T {
  log.push(entry)
  return value
}
const grads = (t: Tensor): unknown => t.grad!.tolist()
const rounded = (t: Tensor): number[] => (t.tolist() as number[]).map((x) => Number(x.toFixed(12)))
const same = (t: Tensor): Tensor => t
const asSaved = (t: Tensor, name: string): Tensor => t.gradFn!.saved[name] as Tensor

/** What `f` throws. */
function attempt(f: () => unknown): { error: string } | null {
  try {
    f()
    return null
  } catch (e) {
    return { error: (e as Error).message }
  }
}

/** The first words of PyTorch's errors in our names. */
function opening(text: string): string {
  return text
    .replace(/is modifying its input in place\. Tensors provided as input to pack hook cannot.*/s, 'is modifying its input in place. ')
    .replace(/retain_graph=True.*/s, '')
    .replace('contextin which', 'context in which')
    .replace(/expected to be a Tensor but got result of type int/, 'expected to be a Tensor but got result of type number')
    .replace(/, which is output.*/s, ', which is output')
    .replace(/\n.*/s, '')
    .replace(/Performing two backward.*/s, 'Performing two backward calls that overlap')
    .replace(/^aten\.(\w+)\.default/, '$1')
    .replace(/torch\.DoubleTensor/, 'torch.DoubleTensor')
}

function compare(ours: unknown, theirs: unknown, at: string): void {
  if (typeof theirs === 'number') {
    expect(typeof ours, at).toBe('number')
    expect(Math.abs((ours as number) - theirs), `${at}: ${String(ours)} for ${theirs}`).toBeLessThanOrEqual(
      1e-12 * Math.max(1, Math.abs(theirs)),
    )
  } else if (Array.isArray(theirs)) {
    expect(ours, at).toHaveLength(theirs.length)
    for (const [i, t] of theirs.entries()) compare((ours as unknown[])[i], t, `${at}[${i}]`)
  } else if (typeof theirs === 'object' && theirs !== null && 'error' in theirs) {
    expect((ours as { error: string } | null)?.error ?? 'no error', at).toSatisfy(
      (s: string) => s.startsWith(opening(theirs.error as string)),
      opening(theirs.error as string),
    )
  } else if (typeof theirs === 'object' && theirs !== null) {
    expect(Object.keys(ours as object).sort(), at).toEqual(Object.keys(theirs).sort())
    for (const [k, t] of Object.entries(theirs)) compare((ours as Record<string, unknown>)[k], t, `${at}.${k}`)
  } else expect(ours, at).toBe(theirs)
}

const A: readonly torch.Nested[] = [0.3, 0.5, 0.7]
const B: readonly torch.Nested[] = [0.6, 0.2, 0.9]
const C: readonly torch.Nested[] = [0.4, 0.8, 0.1]
const M: readonly torch.Nested[] = [
  [0.3, 0.5],
  [0.7, 0.9],
]

const ops: Record<string, (a: Tensor, b: Tensor, c: Tensor) => Tensor> = {
  add: (a, b) => a.add(b),
  sub: (a, b) => a.sub(b),
  mul: (a, b) => a.mul(b),
  mul_self: (a) => a.mul(a),
  mul_constant: (a) => a.mul(plain(1, 2, 3)),
  mul_number: (a) => a.mul(3),
  div: (a, b) => a.div(b),
  div_number: (a) => a.div(2),
  pow_number: (a) => a.pow(3),
  pow_square: (a) => a.pow(2),
  pow_tensor: (a, b) => a.pow(b),
  atan2: (a, b) => a.atan2(b),
  lerp: (a, b, c) => a.lerp(b, c),
  where: (a, b) => torch.where(plain(1, 0, 1).gt(0.5), a, b),
  clamp: (a) => a.clamp({ min: 0.4, max: 0.6 }),
  exp: (a) => a.exp(),
  log: (a) => a.log(),
  sin: (a) => a.sin(),
  cos: (a) => a.cos(),
  tanh: (a) => a.tanh(),
  sigmoid: (a) => a.sigmoid(),
  sqrt: (a) => a.sqrt(),
  rsqrt: (a) => a.rsqrt(),
  reciprocal: (a) => a.reciprocal(),
  neg: (a) => a.neg(),
  abs: (a) => a.abs(),
  relu: (a) => a.relu(),
  silu: (a) => nn.functional.silu(a),
  gelu: (a) => nn.functional.gelu(a),
  sum: (a) => a.sum(),
  sum_dim: (a) => a.sum(0),
  mean: (a) => a.mean(),
  prod: (a) => a.prod(),
  softmax: (a) => a.softmax(0),
  log_softmax: (a) => a.logSoftmax(0),
  logsumexp: (a) => a.logsumexp(0),
  cumsum: (a) => a.cumsum(0),
  view: (a) => a.view([3, 1]),
  select: (a) => a.select(0, 0),
  expand: (a) => a.expand([2, 3]),
  cat: (a, b) => torch.cat([a, b]),
  exp_in_place: (a) => a.clone().exp_(),
  sin_in_place: (a) => a.clone().sin_(),
  mul_in_place: (a, b) => a.clone().mul_(b),
  mm: (m, n) => m.mm(n),
}

function opCase(name: string, f: (a: Tensor, b: Tensor, c: Tensor) => Tensor): unknown {
  const ins = name === 'mm' ? [leaf(...M), leaf(...M)] : [leaf(...A), leaf(...B), leaf(...C)]
  const log: string[] = []
  const y = savedTensorsHooks(
    (t) => {
      const i = ins.indexOf(t)
      log.push(`pack ${i >= 0 ? 'abc'[i] : (t.gradFn?.name() ?? 'other')}`)
      return { at: log.length, t }
    },
    ({ at, t }) => {
      log.push(`unpack ${at}`)
      return t
    },
    () => f(ins[0]!, ins[1]!, ins[2]!),
  )
  const node = y.gradFn!
  const packed = log.length
  const saved = Object.entries(node.saved)
    .filter(([, value]) => value instanceof torch.Tensor)
    .map(([key]) => key)
  log.length = packed
  y.sum().backward()
  return { node: node.name(), saved: saved.sort(), log, packs: log.filter((s) => s.startsWith('pack')).length }
}

/** Sums to a number and differentiates. */
const gradOf = (y: Tensor, x: Tensor, createGraph = false): Tensor => autograd.grad(y.sum(), x, { createGraph })[0]!

function counted<Args extends unknown[], R>(f: (...args: Args) => R): [{ n: number }, (...args: Args) => R] {
  const count = { n: 0 }
  return [
    count,
    (...args) => {
      count.n++
      return f(...args)
    },
  ]
}

const cases: Record<string, () => unknown> = {
  identity_of_saved_inputs: () => {
    const [a, b] = [leaf(1, 2), leaf(3, 4)]
    const y = a.mul(b)
    return { self: asSaved(y, 'self') === a, other: asSaved(y, 'other') === b }
  },
  saved_output_is_another_object_with_its_node: () => {
    const y = leaf(1, 2).exp()
    const r = asSaved(y, 'result')
    return { same: r === y, equal: r.eq(y).all().item() === 1, node: r.gradFn === y.gradFn, requires: r.requiresGrad }
  },
  identity_under_hooks: () => {
    const a = leaf(1, 2)
    const y = savedTensorsHooks(same, same, () => a.mul(a))
    const s = asSaved(y, 'self')
    return { same: s === a, equal: s.eq(a).all().item() === 1, requires: s.requiresGrad, leaf: s.isLeaf }
  },
  unpacked_intermediate_keeps_its_history: () => {
    const a = leaf(1, 2)
    const [b, y] = savedTensorsHooks(
      (x) => x.detach().mul(2),
      same,
      () => {
        const b = a.mul(3)
        return [b, b.sin()] as const
      },
    )
    const s = asSaved(y, 'self')
    return { value: s.tolist(), node: s.gradFn!.name(), 'same node': s.gradFn === b.gradFn }
  },
  default_saved_tensors_hooks_double_backward: () => {
    const out: unknown[] = []
    const twice = (f: (a: Tensor) => Tensor): void => {
      const a = leaf(1, 2)
      const g = gradOf(f(a), a, true)
      out.push(g.tolist(), gradOf(g, a).tolist())
    }
    const doubling = savedTensorsHooks((x) => x.mul(2), same)
    doubling(() => twice((a) => a.pow(3)))
    doubling(() => twice((a) => a.mul(a).mul(a)))
    twice((a) => doubling(() => a.pow(3)))
    return out
  },
  hooks_scale_once_per_save: () => {
    const a = leaf(1, 2)
    const triple = (x: Tensor): Tensor => x.mul(3)
    savedTensorsHooks(triple, triple, () => a.mul(a))
      .sum()
      .backward()
    return grads(a)
  },
  setting_default_saved_variable_hooks_twice_should_not_fail: () =>
    savedTensorsHooks(same, same, () => savedTensorsHooks(same, same, () => true)),
  hooks_end_with_their_block: () => {
    const log: string[] = []
    const a = leaf(1)
    savedTensorsHooks(
      (x) => noting(log, 'p', x),
      same,
      () => a.mul(a),
    )
    a.mul(a)
    return log
  },
  hooks_end_with_an_exception: () => {
    const log: string[] = []
    const a = leaf(1)
    attempt(() =>
      savedTensorsHooks(
        (x) => noting(log, 'p', x),
        same,
        () => {
          throw new Error('out')
        },
      ),
    )
    a.mul(a)
    return log
  },
  nothing_is_packed_without_recording: () => {
    const log: string[] = []
    const a = leaf(1)
    savedTensorsHooks(
      (x) => noting(log, 'p', x),
      same,
      () => {
        noGrad(() => a.mul(a))
        a.detach().mul(a.detach())
      },
    )
    return log
  },
  unpack_of_wrong_type: () => {
    const a = leaf(1)
    const y = savedTensorsHooks(
      same,
      () => 1 as unknown as Tensor,
      () => a.mul(a),
    )
    return attempt(() => y.backward())
  },
  pack_hook_with_inplace_modification_should_fail: () => {
    const a = leaf(1).mul(1)
    return attempt(() =>
      savedTensorsHooks(
        (x) => x.mul_(2),
        same,
        () => a.mul(a),
      ),
    )
  },
  version_checks_are_off_under_hooks: () => {
    const a = leaf(1, 2).mul(1)
    const y = savedTensorsHooks(same, same, () => a.mul(a))
    noGrad(() => a.add_(1))
    return gradOf(y, a).tolist()
  },
  version_checks_are_on_without_hooks: () => {
    const a = leaf(1, 2).mul(1)
    const y = a.mul(a)
    noGrad(() => a.add_(1))
    return attempt(() => gradOf(y, a))
  },
  saved_tensor_hooks_custom_error_propagation: () => {
    class Mine extends Error {}
    const bad = (): never => {
      throw new Mine('mine')
    }
    const a = leaf(1)
    const out: string[] = []
    try {
      savedTensorsHooks(bad, same, () => a.mul(a))
    } catch (e) {
      if (e instanceof Mine) out.push('pack')
    }
    const y = savedTensorsHooks(same, bad, () => a.mul(a))
    try {
      y.backward()
    } catch (e) {
      if (e instanceof Mine) out.push('unpack')
    }
    return out
  },
  unpack_hooks_exec_count: () => {
    const count = [0, 0]
    const a = leaf(1)
    const y = savedTensorsHooks(
      (x) => {
        count[0]!++
        return x
      },
      (x) => {
        count[1]!++
        return x
      },
      () => a.mul(a),
    )
    const out = [[...count]]
    y.backward({ retainGraph: true })
    out.push([...count])
    y.backward()
    return [...out, count]
  },
  unpack_runs_in_the_grad_mode_of_the_pass: () => {
    const modes: boolean[] = []
    const a = leaf(1)
    const note = (x: Tensor): Tensor => noting(modes, torch.isGradEnabled(), x)
    const y = savedTensorsHooks(note, note, () => a.sin())
    gradOf(y, a, true)
    autograd.grad(y, a)
    return modes
  },
  wrapped_number_saved_tensors_hooks: () => {
    const log: unknown[] = []
    savedTensorsHooks(
      (x) => noting(log, x.shape, x),
      same,
      () => leaf(5, 5).mul(3),
    )
    return log
  },
  custom_objects_may_be_packed: () => {
    const a = leaf(2, 3)
    savedTensorsHooks(
      (x) => ({ list: x.tolist() }),
      (p) => torch.tensor(p.list, { dtype: 'float64' }),
      () => a.exp().mul(a),
    )
      .sum()
      .backward()
    return grads(a)
  },

  register_hooks_on_a_saved_input: () => {
    const a = leaf(1, 2)
    const y = a.pow(2)
    const raw = y.gradFn!.rawSaved['self']!
    raw.registerHooks(
      (x) => x.mul(2),
      (x) => x.div(2),
    )
    const first = attempt(() => raw.registerHooks(same, same))
    const value = asSaved(y, 'self').tolist()
    y.sum().backward()
    return [first, value, grads(a)]
  },
  register_hooks_on_a_saved_output: () => {
    const a = leaf(1, 2)
    const y = a.exp()
    y.gradFn!.rawSaved['result']!.registerHooks(
      (x) => x.tolist(),
      (x) => torch.tensor(x, { dtype: 'float64' }).mul(2),
    )
    y.sum().backward()
    return a.grad!.div(a.detach().exp()).round().tolist()
  },
  register_hooks_pack_sees_a_detached_tensor: () => {
    const seen: boolean[][] = []
    const look = (x: Tensor): Tensor => noting(seen, [x.requiresGrad, x.isLeaf], x)
    leaf(1, 2).mul(1).sin().gradFn!.rawSaved['self']!.registerHooks(look, same)
    leaf(1, 2).exp().gradFn!.rawSaved['result']!.registerHooks(look, same)
    return seen
  },
  register_hooks_after_free: () => {
    const y = leaf(1).sin()
    const raw = y.gradFn!.rawSaved['self']!
    y.backward()
    return attempt(() => raw.registerHooks(same, same))
  },
  register_hooks_under_default_hooks: () => {
    const a = leaf(1)
    const y = savedTensorsHooks(same, same, () => a.sin())
    return attempt(() => y.gradFn!.rawSaved['self']!.registerHooks(same, same))
  },
  register_hooks_with_inplace_pack: () => {
    const y = leaf(1).mul(1).sin()
    return attempt(() => y.gradFn!.rawSaved['self']!.registerHooks((x) => x.add_(1), same))
  },
  saved_attributes_after_free: () => {
    const y = leaf(1, 2).pow(3)
    const s = y.sum(0)
    const before = y.gradFn!.saved['exponent']
    s.backward()
    return [before, y.gradFn!.saved['exponent'], s.gradFn!.saved['keepdim'], attempt(() => y.gradFn!.saved['self'])]
  },
  raw_saved_data_and_hooks: () => {
    const a = leaf(1, 2)
    const y = savedTensorsHooks(
      () => 'packed',
      () => a.detach(),
      () => a.sin(),
    )
    const raw = y.gradFn!.rawSaved['self']!
    const z = a.sin().gradFn!.rawSaved['self']!
    return [raw.data, raw.unpackHook === null, z.data === a, z.unpackHook === null]
  },

  disabling_saved_tensor_hooks: () => {
    const use = (): unknown => attempt(() => savedTensorsHooks(same, same, () => null))
    return [disableSavedTensorsHooks('error message', use), use()]
  },
  disabling_saved_tensor_hooks_nested: () => {
    const use = (): unknown => attempt(() => savedTensorsHooks(same, same, () => null))
    const out: unknown[] = []
    disableSavedTensorsHooks('outer', () => {
      out.push(disableSavedTensorsHooks('inner', use))
      out.push(use())
    })
    return [...out, use()]
  },
  disabling_while_hooks_are_in_force: () =>
    attempt(() => savedTensorsHooks(same, same, () => disableSavedTensorsHooks('too late', () => null))),

  mutation_basic: () =>
    allowMutationOnSavedTensors((context) => {
      const a = leaf(1, 2)
      const b = a.clone()
      const out = b.pow(2).sum()
      b.sin_()
      const n = context.cloned
      out.backward()
      return [n, grads(a), context.cloned]
    }),
  mutation_views: () =>
    allowMutationOnSavedTensors((context) => {
      const a = leaf(1, 2)
      const b = a.clone()
      const out = b.pow(2).sum()
      b.narrow(0, 0, 1).sin_()
      const n = context.cloned
      out.backward()
      return [n, grads(a)]
    }),
  mutation_save_view_modify_base: () =>
    allowMutationOnSavedTensors((context) => {
      const a = leaf(1, 2, 3)
      const b = a.clone()
      const out = b.narrow(0, 0, 2).pow(2).sum()
      b.mul_(3)
      const n = context.cloned
      out.backward()
      return [n, grads(a)]
    }),
  mutation_double_backward: () =>
    allowMutationOnSavedTensors((context) => {
      const a = leaf(1, 2)
      const b = a.clone()
      const g = gradOf(b.pow(3), a, true)
      b.sin_()
      const gg = gradOf(g, a)
      return [context.cloned >= 0, gg.tolist()]
    }),
  mutation_saved_but_not_anymore: () =>
    allowMutationOnSavedTensors((context) => {
      const a = leaf(1, 2).clone()
      const out = a.pow(2).sum()
      const n = context.cloned
      out.backward()
      a.sin_()
      return [n, context.cloned]
    }),
  mutation_saved_same_tensor_many_times: () =>
    allowMutationOnSavedTensors((context) => {
      const a = leaf(1, 2).clone()
      a.pow(2)
      a.pow(2)
      a.sin_()
      return context.cloned
    }),
  mutation_saved_same_tensor_different_versions: () =>
    allowMutationOnSavedTensors((context) => {
      const a = leaf(1, 2)
      const b = a.clone()
      const c = b.pow(2)
      b.sin_()
      const d = b.pow(2)
      b.sin_()
      const n = context.cloned
      c.sum().add(d.sum()).backward()
      return [n, rounded(a.grad!)]
    }),
  mutation_without_recording: () =>
    allowMutationOnSavedTensors(() => {
      const a = leaf(1, 2)
      const b = a.clone()
      const out = b.pow(2).sum()
      noGrad(() => b.zero_())
      out.backward()
      return grads(a)
    }),
  mutation_backward_out_of_context: () => {
    const out = allowMutationOnSavedTensors(() => leaf(1).pow(2).sum())
    return attempt(() => out.backward())
  },
  mutation_backward_in_another_context: () => {
    const out = allowMutationOnSavedTensors(() => leaf(1).pow(2).sum())
    return attempt(() => allowMutationOnSavedTensors(() => out.backward()))
  },
  mutation_disallow_nesting: () => attempt(() => allowMutationOnSavedTensors(() => allowMutationOnSavedTensors(() => null))),
}

const sinExp = (x: Tensor): Tensor => x.sin().exp()

/** A nested case: functions log their letter. */
function nested(f: (log: string[]) => (x: Tensor) => Tensor, x = 0.5): unknown {
  const log: string[] = []
  const a = leaf(x)
  const y = checkpoint(f(log), a)
  log.push('|')
  y.backward()
  return [log.join(''), rounded(a.grad!)]
}

const twoDeep = (log: string[]) => (x: Tensor) => {
  log.push('o')
  return checkpoint((t: Tensor) => {
    log.push('i')
    return sinExp(t)
  }, x.mul(2)).cos()
}

/** A function that does one thing in the forward pass and another when it runs again. */
function changing(first: (x: Tensor) => Tensor, then: (x: Tensor) => Tensor): (x: Tensor) => Tensor {
  let n = 0
  return (x) => (n++ === 0 ? first(x) : then(x))
}

function selective(
  ops: readonly string[],
  f: (x: Tensor) => Tensor,
  a: Tensor,
  options: { allowCacheEntryMutation?: boolean } = {},
): [string[], Tensor] {
  const seen: string[] = []
  const policy: autograd.PolicyFunction = (context, op) => {
    seen.push(`${context.isRecompute ? 'r' : 'f'} ${op}`)
    return ops.includes(op) ? 'MUST_SAVE' : 'PREFER_RECOMPUTE'
  }
  return [seen, checkpoint.with({ contextFn: () => createSelectiveCheckpointContexts(policy, options) })(f, a)]
}

function mutatedCache(options: { allowCacheEntryMutation?: boolean }): unknown {
  let kept: Tensor | null = null
  const f = (x: Tensor): Tensor => {
    const y = x.sin()
    kept ??= y
    return y.exp().cos()
  }
  const [, y] = selective(['sin'], f, leaf(1), options)
  noGrad(() => kept!.mul_(2))
  return attempt(() => y.backward())
}

Object.assign(cases, {
  checkpoint_recomputes_once: () => {
    const [count, f] = counted(sinExp)
    const a = leaf(1, 2)
    const y = checkpoint(f, a)
    const before = count.n
    y.sum().backward()
    return [before, count.n, grads(a)]
  },
  checkpoint_packs_nothing_of_its_own: () => {
    const log: boolean[] = []
    const a = leaf(1, 2)
    savedTensorsHooks(
      (x) => noting(log, x === a, x),
      same,
      () => checkpoint(sinExp, a),
    )
    return log
  },
  checkpoint_retained_graph_recomputes_per_pass: () => {
    const [count, f] = counted(sinExp)
    const a = leaf(1)
    const y = checkpoint(f, a)
    y.sum().backward({ retainGraph: true })
    y.sum().backward()
    return [count.n, grads(a)]
  },
  checkpoint_under_no_grad_runs_once: () => {
    const [count, f] = counted(sinExp)
    const y = noGrad(() => checkpoint(f, leaf(1)))
    return [count.n, y.requiresGrad]
  },
  checkpoint_with_grad_and_inputs: () => {
    const [count, f] = counted((x: Tensor, y: Tensor) => x.mul(y).sin().mul(y.exp()))
    const [a, b] = [leaf(1, 2), leaf(3, 4)]
    const y = checkpoint(f, a, b).sum()
    const [g] = autograd.grad(y, a, { retainGraph: true })
    y.backward({ inputs: [b] })
    return [count.n, g!.tolist(), grads(b), a.grad === null]
  },
  checkpoint_captured_parameter: () => {
    const [w, a] = [leaf(2, 3), leaf(1, 2)]
    checkpoint((x: Tensor) => x.mul(w).sin(), a)
      .sum()
      .backward()
    return [grads(a), grads(w)]
  },
  checkpoint_input_without_grad: () => {
    const w = leaf(2, 3)
    const y = checkpoint((x: Tensor) => x.mul(w).sin(), plain(1, 2))
    y.sum().backward()
    return [y.requiresGrad, grads(w)]
  },
  checkpointing_without_reentrant_detached_tensor: () => {
    const y = checkpoint((x: Tensor) => x.exp().detach(), leaf(1))
    return [y.requiresGrad, y.tolist()]
  },
  checkpoint_higher_order: () => {
    const a = leaf(1, 2)
    const g = gradOf(checkpoint(sinExp, a), a, true)
    return [rounded(g), rounded(gradOf(g, a))]
  },
  checkpoint_early_stop_skips_the_rest: () => {
    const log: string[] = []
    const f = (x: Tensor): Tensor => {
      const y = x.sin()
      log.push('sin')
      const z = y.exp()
      log.push('exp')
      const w = z.add(1)
      log.push('add')
      return w
    }
    const y = checkpoint(f, leaf(1))
    log.push('|')
    y.backward()
    return log
  },
  checkpoint_without_early_stop: () => {
    const log: string[] = []
    const f = (x: Tensor): Tensor => {
      const y = x.sin()
      log.push('sin')
      const z = y.exp()
      log.push('exp')
      return z.add(1)
    }
    const y = setCheckpointEarlyStop(false, () => checkpoint(f, leaf(1)))
    log.push('|')
    y.backward()
    return log
  },
  nested_checkpoint: () => nested(twoDeep),
  nested_checkpoint_without_early_stop: () => {
    const log: string[] = []
    const a = leaf(0.5)
    const y = setCheckpointEarlyStop(false, () => checkpoint(twoDeep(log), a))
    log.push('|')
    y.backward()
    return [log.join(''), rounded(a.grad!)]
  },
  nested_checkpoint_two_children: () =>
    nested((log) => {
      const f = (x: Tensor): Tensor => {
        log.push('f')
        return sinExp(x)
      }
      const g = (x: Tensor): Tensor => {
        log.push('g')
        return x.cos().sin()
      }
      return (x) => {
        log.push('o')
        return checkpoint(g, checkpoint(f, x))
      }
    }),
  nested_checkpoint_three_deep: () =>
    nested((log) => {
      const h = (x: Tensor): Tensor => {
        log.push('3')
        return x.sin().sin()
      }
      const g = (x: Tensor): Tensor => {
        log.push('2')
        return checkpoint(h, x.cos()).cos()
      }
      return (x) => {
        log.push('1')
        return checkpoint(g, x.exp()).exp()
      }
    }),
  checkpoint_hooks_fire_once: () => {
    const log: string[] = []
    const f = (x: Tensor): Tensor => {
      const y = x.sin()
      y.registerHook(() => void log.push('hook'))
      return y.exp()
    }
    const a = leaf(1)
    a.registerHook(() => void log.push('leaf'))
    checkpoint(f, a).backward()
    return log
  },
  checkpoint_rng: () => {
    torch.manualSeed(1)
    const a = torch.ones([100], { dtype: 'float64', requiresGrad: true })
    const y = checkpoint((x: Tensor) => nn.functional.dropout(sinExp(x), { p: 0.5 }).exp(), a)
    const dropped = y.eq(1).tolist()
    const state = torch.defaultGenerator.getState()
    y.sum().backward()
    const after = torch.defaultGenerator.getState()
    return [JSON.stringify(a.grad!.eq(0).tolist()) === JSON.stringify(dropped), JSON.stringify(state) === JSON.stringify(after)]
  },
  checkpoint_different_number: () => {
    const y = checkpoint(
      changing(sinExp, (x) => x.sin()),
      leaf(1),
    )
    return attempt(() => y.backward())
  },
  checkpoint_more_saved_without_early_stop: () => {
    const y = setCheckpointEarlyStop(false, () =>
      checkpoint(
        changing((x) => x.sin(), sinExp),
        leaf(1),
      ),
    )
    return attempt(() => y.backward())
  },
  checkpoint_different_metadata: () => {
    const y = checkpoint(
      changing(
        (x) => x.sin().sum(),
        (x) => torch.cat([x, x]).sin().sum(),
      ),
      leaf(1, 2),
    )
    return attempt(() => y.backward())
  },
  checkpoint_metadata_unchecked: () => {
    const f = changing(
      (x) => x.sin().sum(),
      (x) => x.reshape([1, 2]).sin().sum(),
    )
    const y = checkpoint.with({ determinismCheck: 'none' })(f, leaf(1, 2))
    return attempt(() => y.backward())
  },
  checkpoint_valid_reset_on_error: () => {
    let n = 0
    const f = (x: Tensor): Tensor => {
      if (++n === 2) throw new Error('once')
      return x.sin()
    }
    const a = leaf(1)
    const y = checkpoint(f, a)
    const first = attempt(() => y.backward({ retainGraph: true }))
    y.backward()
    return [first, grads(a), n]
  },
  checkpoint_input_changed: () => {
    const a = leaf(1).mul(1)
    const y = checkpoint(sinExp, a)
    noGrad(() => a.add_(1))
    return attempt(() => y.backward())
  },
  access_saved_tensor_twice_without_recomputation_works: () => {
    const [count, f] = counted(sinExp)
    const y = checkpoint(f, leaf(1))
    const out = [count.n]
    asSaved(y, 'result')
    out.push(count.n)
    asSaved(y, 'result')
    out.push(count.n)
    y.backward()
    return [...out, count.n]
  },
  checkpoint_grad_inside: () => {
    const [count, f] = counted((x: Tensor) => gradOf(x.pow(3), x, true).mul(x))
    const a = leaf(2)
    checkpoint(f, a).backward()
    return [count.n, grads(a)]
  },
  checkpoint_user_error_in_forward: () =>
    attempt(() =>
      checkpoint((_: Tensor): Tensor => {
        throw new Error('mine')
      }, leaf(1)),
    ),
  checkpoint_bad_determinism_check: () => attempt(() => checkpoint.with({ determinismCheck: 'nonsense' as 'none' })(same, leaf(1))),
  checkpoint_sequential_counts: () => {
    const log: string[] = []
    const a = leaf(0.1)
    const layers = [0, 1, 2, 3, 4].map((i) => (x: Tensor) => {
      log.push(String(i))
      return sinExp(x)
    })
    const y = checkpointSequential(layers, 2, a)
    log.push('|')
    y.backward()
    return [log.join(''), rounded(a.grad!)]
  },
  checkpoint_graph_execution_group: () => {
    const [count, f] = counted((x: Tensor, y: Tensor) => [sinExp(x), sinExp(y)] as const)
    const [a, b] = [leaf(1), leaf(2)]
    const [u, v] = checkpoint(f, a, b)
    const one = graphExecGroup(() => {
      u.backward()
      const n = count.n
      v.backward()
      return n
    })
    return [one, count.n, grads(a), grads(b)]
  },
  checkpoint_graph_execution_group_overlap: () => {
    const y = checkpoint(sinExp, leaf(1))
    return attempt(() =>
      graphExecGroup(() => {
        y.backward({ retainGraph: true })
        y.backward()
      }),
    )
  },

  selective_policy_sees_each_operation: () => {
    const a = leaf(1)
    const [seen, y] = selective(['sin'], (x) => sinExp(x).cos(), a)
    y.backward()
    return [seen, grads(a)]
  },
  selective_second_backward: () => {
    const [, y] = selective(['sin'], (x) => sinExp(x).cos(), leaf(1))
    y.backward({ retainGraph: true })
    return attempt(() => y.backward())
  },
  selective_mutated_cache: () => mutatedCache({}),
  selective_mutated_cache_allowed: () => mutatedCache({ allowCacheEntryMutation: true }),
  selective_unknown_operation_in_recompute: () => {
    const [, y] = selective(
      [],
      changing(
        (x) => sinExp(x).cos(),
        (x) => x.tan().exp().cos(),
      ),
      leaf(1),
    )
    return attempt(() => y.backward())
  },
  selective_bad_inputs: () => attempt(() => createSelectiveCheckpointContexts(2 as unknown as string[])),
})

for (const [name, f] of Object.entries(ops)) cases[`op_${name}`] = () => opCase(name, f)

test('every recorded case is compared', () => {
  expect(Object.keys(cases).sort()).toEqual(Object.keys(recorded.cases).sort())
})

/** The gradient of `prod` comes from its input alone. */
const savesLess: Readonly<Record<string, unknown>> = {
  op_prod: { node: 'ProdBackward0', saved: ['self'], log: ['pack a', 'unpack 1'], packs: 1 },
}

test.each(Object.entries(recorded.cases))('%s', (name, theirs) => {
  compare(cases[name]!(), savesLess[name] ?? theirs, name)
})
