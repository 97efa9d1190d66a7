/** Inference mode and anomaly detection do what PyTorch was seen to do (recorded by record_modes.py). */
import { expect, test } from 'vitest'
import type { FunctionCtx } from '../../src/autograd/index.ts'
import * as torch from '../../src/index.ts'
import { compare, error, leaf, nums } from './harness.ts'

const { autograd, enableGrad, inferenceMode, isGradEnabled, isInferenceModeEnabled, noGrad } = torch
type T = torch.Tensor

const f64 = { dtype: 'float64' } as const
const ones = (shape: number[], requiresGrad = false): T => torch.ones(shape, { ...f64, requiresGrad })
const made = (requiresGrad: boolean): T => inferenceMode(() => ones([2, 2], requiresGrad))
const flags = (t: T): unknown => [t.isInference(), t.requiresGrad, t.isLeaf]
const state = (): boolean[] => [isInferenceModeEnabled(), isGradEnabled()]
const both = (fn: (requiresGrad: boolean) => unknown[]): unknown[] => [true, false].flatMap(fn)

/** The first words of the warnings of `fn`, and what it threw. */
function warned(fn: () => unknown): unknown {
  const texts: string[] = []
  const before = torch.setWarningHandler((text) => void texts.push(text.split('\n')[0]!.slice(0, 60)))
  try {
    return [texts, error(fn)]
  } finally {
    torch.setWarningHandler(before)
  }
}

/** The gradient of its first argument is NaN, if asked to. */
class Nan extends autograd.Function {
  static forward(ctx: FunctionCtx<{ fail: boolean }>, x: T, fail: boolean): T {
    ctx.fail = fail
    return x.sum(0, { keepdim: true })
  }
  static backward(ctx: FunctionCtx<{ fail: boolean }>, g: T): [T, null] {
    const gi = g.expand([10]).clone()
    if (ctx.fail) gi.set(0, Number.NaN)
    return [gi, null]
  }
}

class First extends autograd.Function {
  static forward(ctx: FunctionCtx<object, [T]>, x: T): T {
    ctx.saveForBackward(x)
    return x.sum(0, { keepdim: true }).clone()
  }
  static backward(ctx: FunctionCtx<object, [T]>, g: T): T {
    return Second.apply(g, ctx.savedTensors[0])
  }
}

class Second extends autograd.Function {
  static forward(ctx: FunctionCtx<object, [T]>, g: T, x: T): T {
    ctx.saveForBackward(x)
    return g.expand(x.shape).clone()
  }
  static backward(ctx: FunctionCtx<object, [T]>, g: T): [T, T] {
    return [g.sum().mul(Number.NaN).reshape([1]), ctx.savedTensors[0].mul(0)]
  }
}

class Fails extends autograd.Function {
  static forward(_ctx: FunctionCtx, x: T): T {
    return x.clone()
  }
  static backward(): T {
    throw new Error('fails on purpose')
  }
}

compare('modes', './modes.json', {
  inference_mode_context_manager() {
    const out = state()
    inferenceMode(() => {
      out.push(...state())
      inferenceMode(false, () => void out.push(...state()))
      out.push(...state())
    })
    return [...out, ...state()]
  },
  inference_mode_decorator() {
    const double = inferenceMode.wrap((x: T) => x.mul(2))
    return [...(flags(double(leaf(1, 2))) as unknown[]), isInferenceModeEnabled()]
  },
  inference_mode_tensor_creation() {
    const [c, r] = inferenceMode(() => [torch.ones([2]), torch.ones([2], { requiresGrad: true })] as const)
    const out = [flags(c), flags(r), error(() => c.requiresGrad_()), error(() => c._version), torch.ones([2]).isInference()]
    inferenceMode(() => c.requiresGrad_())
    return [...out, flags(c)]
  },
  inference_mode_existing_autograd_session() {
    const s = ones([2], true).clone()
    const b = s.mul(s)
    inferenceMode(() => s.add_(2))
    return error(() => b.sum().backward())
  },
  inference_mode_inf_tensor_in_inf_mode_functional_op: () =>
    both((requiresGrad) =>
      inferenceMode(() => {
        const c = torch.ones([2], { requiresGrad })
        return [flags(c.add(2)), flags(c.mul(c)), flags(c.sum())]
      }),
    ),
  inference_mode_inf_tensor_in_inf_mode_inplace_op: () =>
    both((requiresGrad) =>
      inferenceMode(() => {
        const c = torch.ones([2], { requiresGrad })
        c.add_(2)
        return [flags(c), nums(c), error(() => c._version)]
      }),
    ),
  inference_mode_inf_tensor_in_inf_mode_view_op: () =>
    both((requiresGrad) =>
      inferenceMode(() => {
        const c = torch.ones([2, 2], { requiresGrad })
        return [flags(c.view([-1])), flags(c.get(0))]
      }),
    ),
  inference_mode_inf_tensor_in_normal_mode_functional_op: () =>
    both((requiresGrad) => {
      const c = made(requiresGrad)
      return [...(requiresGrad ? [] : [flags(c.mul(c))]), flags(c.add(2))]
    }),
  inference_mode_inf_tensor_in_normal_mode_inplace_op: () =>
    both((requiresGrad) => {
      const c = made(requiresGrad)
      const d = made(requiresGrad)
      return [error(() => c.mul_(2)), noGrad(() => error(() => d.mul_(2)))]
    }),
  inference_mode_inf_tensor_in_normal_mode_view_op() {
    const v = made(false).view([-1])
    return [flags(v), error(() => v.mul_(2))]
  },
  normal_tensor_inplace_output_in_inference_mode: () =>
    both((requiresGrad) => {
      const a = ones([2, 2], requiresGrad).clone()
      return inferenceMode(() => {
        a.add_(2)
        const out: unknown[] = [[a.isInference(), a.requiresGrad, nums(a), a._version]]
        const b = a.view([-1])
        out.push([b.isInference(), b._version])
        b.mul_(2)
        out.push([b.isInference(), a._version, nums(b)])
        return out
      })
    }),
  normal_tensor_inplace_output_in_normal_mode: () =>
    both((requiresGrad) => {
      const s = ones([2, 2], requiresGrad)
      const a = s.clone()
      inferenceMode(() => a.add_(2))
      a.mul_(2)
      const out: unknown[] = [[a.isInference(), a.requiresGrad, nums(a)]]
      const b = a.view([-1])
      b.mul_(2)
      out.push([b.isInference(), b.requiresGrad, nums(b), nums(a)])
      if (requiresGrad) {
        a.sum().backward()
        out.push(nums(s.grad))
      }
      return out
    }),
  normal_tensor_view_output_in_inference_mode: () =>
    both((requiresGrad) => {
      const a = ones([2, 2], requiresGrad).clone()
      return inferenceMode(() => {
        const v = a.view([-1])
        const out: unknown[] = [[v.isInference(), v.gradFn === null, v._base === a]]
        v.mul_(2)
        const w = v.view([2, 2])
        return [...out, [w.isInference(), nums(a), a._version]]
      })
    }),
  normal_tensor_view_output_in_normal_mode: () =>
    both((requiresGrad) => {
      const a = ones([2, 2], requiresGrad).clone()
      const v = inferenceMode(() => a.view([-1]))
      const w = v.view([-1])
      return [[v.isInference(), w.isInference()], error(() => v.mul_(2))]
    }),
  mix_inference_and_normal_tensor_functional_op: () =>
    both((requiresGrad) => {
      const s = ones([2, 2], requiresGrad)
      const c = made(false)
      return [flags(c.add(s)), requiresGrad ? error(() => c.mul(s)) : flags(c.mul(s))]
    }),
  mix_inference_and_normal_tensor_inplace_op: () =>
    both((requiresGrad) => {
      const s = ones([2, 2], requiresGrad)
      const a = s.clone()
      const c = made(false)
      return [requiresGrad ? error(() => a.mul_(c)) : flags(a.mul_(c)), flags(s.clone().add_(c)), error(() => c.mul_(s))]
    }),
  mix_inference_and_normal_tensor_view_op() {
    const s = ones([2, 2])
    const c = made(false)
    return [flags(c.view([-1])), flags(s.viewAs(c)), flags(c.viewAs(s))]
  },
  inference_mode_handle_direct_view_on_rebase: () =>
    both((requiresGrad) => {
      const a = ones([2, 2], requiresGrad).clone()
      const v = inferenceMode(() => a.viewAs(a))
      return [error(() => v.add_(2))]
    }),
  inference_mode_handle_indirect_view_on_rebase: () =>
    both((requiresGrad) => {
      const s = ones([2, 2], requiresGrad)
      const a = s.clone()
      const v = inferenceMode(() => a.view([-1]))
      a.view([-1]).mul_(2)
      return [error(() => v.gradFn), ...(requiresGrad ? [nums(autograd.grad(a.sum(), s)[0])] : [])]
    }),
  gradients_of_inference_leaves() {
    const x = inferenceMode(() => ones([2], true))
    const y = ones([2], true)
    x.add(y).sum().backward()
    return [nums(x.grad), nums(y.grad), x.grad!.isInference()]
  },
  clones_of_inference_tensors_are_normal() {
    const c = made(false)
    const d = c.clone().requiresGrad_()
    d.mul(d).sum().backward()
    return [flags(d), nums(d.grad), c.detach().isInference(), c.contiguous() === c]
  },
  no_grad_inside_inference_mode() {
    const y = inferenceMode(() => enableGrad(() => torch.ones([2], { requiresGrad: true }).add(1)))
    return [flags(y), isGradEnabled()]
  },
  anomaly_detect_nan() {
    const x = (): T => ones([10], true)
    return [
      error(() => Nan.apply(x(), true).backward()),
      warned(() => autograd.detectAnomaly(() => Nan.apply(x(), true).backward())),
      warned(() => {
        const value = Nan.apply(x(), true)
        autograd.detectAnomaly(() => value.backward())
      }),
    ]
  },
  nested_anomaly_detect_nan() {
    return warned(() => {
      const x = ones([3], true)
      autograd.detectAnomaly(() => {
        const [g] = autograd.grad(First.apply(x).mul(First.apply(x)).sum(), x, { createGraph: true })
        g!.sum().backward()
      })
    })
  },
  anomaly_grad_warnings() {
    return warned(() => autograd.detectAnomaly(() => Fails.apply(leaf(1)).backward()))
  },
  anomaly_mode_no_check_nan() {
    return warned(() => autograd.detectAnomaly(() => Nan.apply(ones([10], true), true).backward(), { checkNan: false }))
  },
  anomaly_state() {
    const { isAnomalyEnabled: enabled, isAnomalyCheckNanEnabled: nan, setDetectAnomaly } = autograd
    const out = [enabled(), nan()]
    autograd.detectAnomaly(
      () => {
        out.push(enabled(), nan())
        const on = setDetectAnomaly(true)
        out.push(enabled(), nan())
        const off = setDetectAnomaly(false)
        out.push(enabled())
        off.restore()
        on.restore()
        out.push(enabled(), nan())
      },
      { checkNan: false },
    )
    return [...out, enabled(), warned(() => setDetectAnomaly(false))]
  },
})

/** Runs `fn` under anomaly detection without its warnings; the error's text, and the warnings'. */
function detected(fn: () => void): { text: string; warnings: string[] } {
  const warnings: string[] = []
  const before = torch.setWarningHandler((text) => void warnings.push(text))
  try {
    autograd.detectAnomaly(fn)
    return { text: 'no error', warnings }
  } catch (e) {
    return { text: (e as Error).message, warnings }
  } finally {
    torch.setWarningHandler(before)
  }
}

test('under anomaly detection a conflict names both operations and both lines', () => {
  const save = (x: T): T => x.exp()
  const change = (y: T): T => y.mul_(2)
  const { text, warnings } = detected(() => {
    const y = save(leaf(1, 2))
    change(y)
    y.sum().backward()
  })
  expect(text).toMatch(/ExpBackward0 of exp saved it; mul_ changed it last/)
  expect(text).toMatch(/It was saved at save \(.*modes\.test\.ts:\d+:\d+\)\. It was changed at change \(.*modes\.test\.ts:\d+:\d+\)\./)
  expect(warnings[1]).toMatch(
    /^Error detected in ExpBackward0\. Traceback of forward call that caused the error:\nat save \(.*modes\.test\.ts/,
  )
})

test('and a freed graph its node, where that was recorded and where it was freed', () => {
  const record = (x: T): T => x.exp().sum()
  const free = (y: T): void => y.backward()
  const { text } = detected(() => {
    const y = record(leaf(1, 2))
    free(y)
    y.backward()
  })
  expect(text).toMatch(/The node is ExpBackward0 of exp \(output \[2\]\)/)
  expect(text).toMatch(/It was recorded at record \(.*modes\.test\.ts:\d+:\d+\) and freed at free \(.*modes\.test\.ts:\d+:\d+\)\./)
})

test('and NaN the line that recorded the node; nothing remains switched on', () => {
  const root = (x: T): T => x.sqrt()
  const { text } = detected(() => root(leaf(0)).mul(0).sum().backward())
  expect(text).toMatch(
    /^Function 'SqrtBackward0' returned nan values in its 0th output\. It was recorded at root \(.*modes\.test\.ts:\d+:\d+\)\./,
  )
  expect(autograd.isAnomalyEnabled()).toBe(false)
})

test('what hooks leave switched on is put back', () => {
  const x = leaf(1)
  const y = x.mul(2)
  y.registerHook(() => void inferenceMode.enter())
  y.sum().backward()
  expect([isInferenceModeEnabled(), torch.ones([1]).isInference()]).toEqual([false, false])
})
