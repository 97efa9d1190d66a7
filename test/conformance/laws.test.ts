/** The laws bite: each finds the fault of an operation that was made to break it. */
import { expect, test } from 'vitest'
import * as autograd from '../../src/autograd/index.ts'
import * as torch from '../../src/index.ts'
import { laws } from './laws.ts'
import type { Sample, Tensor } from './samples.ts'
import { values } from './table.ts'

function sample(call: (x: Tensor) => Tensor, more: Partial<Sample> = {}): Sample {
  return { op: 'wrong', label: 'wrong', tensors: () => [values([2, 3])], wrt: [0], call: ([x]) => [call(x!)], ...more }
}

type Rule = (g: Tensor, x: Tensor) => Tensor

/** x² with these rules. */
function square(backward: Rule, jvp: Rule = (t, x) => t.mul(x).mul(2)): (x: Tensor) => Tensor {
  class Square extends autograd.Function {
    static generateVmapRule = true
    static forward(x: Tensor): Tensor {
      return x.mul(x)
    }
    static setupContext(ctx: autograd.FunctionCtx<object, [Tensor]>, [x]: [Tensor]): void {
      ctx.saveForBackward(x)
      ctx.saveForForward(x)
    }
    static backward(ctx: autograd.FunctionCtx<object, [Tensor]>, g: Tensor): Tensor {
      return backward(g, ctx.savedTensors[0]!)
    }
    static jvp(ctx: autograd.FunctionCtx<object, [Tensor]>, t: Tensor): Tensor {
      return jvp(t, ctx.savedTensors[0]!)
    }
  }
  return (x) => Square.apply(x)
}

const right: Rule = (g, x) => g.mul(x).mul(2)
/** Doubles, but in a batch triples. */
class Batched extends autograd.Function {
  static forward(x: Tensor): Tensor {
    return x.mul(2)
  }
  static setupContext(): void {}
  static backward(_: autograd.FunctionCtx, g: Tensor): Tensor {
    return g.mul(2)
  }
  static vmap(_: autograd.VmapInfo, dims: [number], x: Tensor): [Tensor, number] {
    return [x.mul(3), dims[0]]
  }
}

const wrong: Readonly<Record<string, readonly Sample[]>> = {
  finiteDifferences: [sample(square((g, x) => g.mul(x).mul(3)))],
  secondDerivatives: [sample(square((g, x) => g.mul(x.detach()).mul(2))), sample(square((g, x) => g.detach().mul(x.detach()).mul(2)))],
  forwardMode: [sample(square(right, (t, x) => t.mul(x).mul(3)))],
  recordedPass: [sample(square((g, x) => right(g, x).mul(torch.isGradEnabled() ? 1 : 1 + 1e-12)))],
  masks: [sample(square((g, x) => g.mul(x.gt(0).to('float64'))))],
  batching: [sample((x) => Batched.apply(x)), sample((x) => Batched.apply(x), { wrt: [] })],
  layout: [
    sample((x) => (x.isContiguous() ? x.mul(2) : x.mul(3))),
    sample(square((g, x) => (x.isContiguous() ? right(g, x) : g.mul(3)))),
    sample((x) => x.mul(x.storageOffset() + 1)),
  ],
  inPlace: [
    sample((x) => x.sin(), { inPlaceName: 'cos_', inPlace: ([x]) => x!.cos_() }),
    sample((x) => x.sin(), { inPlaceName: 'sin_', inPlace: ([x]) => x!.sin_().mul_(1) }),
    sample((x) => x.sin(), { inPlaceName: 'sin', inPlace: ([x]) => x!.sin() }),
    sample((x) => x.sum(), { inPlaceName: 'sin_', inPlace: ([x]) => x!.sin_() }),
  ],
}

test('every law has operations that break it', () => {
  expect(Object.keys(wrong).sort()).toEqual(Object.keys(laws).sort())
})

for (const [name, samples] of Object.entries(wrong)) {
  samples.forEach((s, i) => {
    test(`${name} ${i}`, () => {
      const law = laws[name]!
      expect(law.applies(s)).toBe(true)
      const found = (): string | null => {
        try {
          return law.broken(s)
        } catch (e) {
          // The checks of gradients throw.
          return String(e)
        }
      }
      expect(found()).toEqual(expect.any(String))
    })
  })
}
