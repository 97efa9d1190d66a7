/** Anomaly detection: which node failed, where its forward call was, and source lines in the errors of the graph. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'

const { autograd } = torch
const { detectAnomaly, setDetectAnomaly } = autograd

let said: string[] = []
beforeEach(() => {
  said = []
  torch.setWarningHandler((message) => said.push(message))
})
afterEach(() => {
  setDetectAnomaly(false)
  torch.setWarningHandler(null)
})

const leaf = (...values: number[]): torch.Tensor => torch.tensor(values, { dtype: 'float64', requiresGrad: true })

function message(fn: () => unknown): string {
  try {
    fn()
  } catch (e) {
    return (e as Error).message
  }
  throw new Error('nothing was thrown')
}

/** The user's function that a test looks for in stacks. */
function squareOf(x: torch.Tensor): torch.Tensor {
  return x.mul(x)
}

class Fails extends autograd.Function {
  static forward(_ctx: torch.autograd.FunctionCtx, x: torch.Tensor): torch.Tensor {
    return x.mul(1)
  }
  static backward(): torch.Tensor {
    throw new RangeError('no')
  }
}

describe('the stack of the forward call', () => {
  test('stands in the metadata of the node, the own line of the user first', () => {
    setDetectAnomaly(true)
    const stack = squareOf(leaf(1)).gradFn!.metadata['traceback_'] as string[]
    expect(stack[0]).toMatch(/at squareOf .*anomaly\.test\.ts:\d+:\d+/)
    expect(stack.join('\n')).not.toMatch(/\/src\/(op|autograd|ops)\//)
  })

  test('is found through modules', () => {
    setDetectAnomaly(true)
    const model = new torch.nn.Sequential(new torch.nn.Linear(2, 1), new torch.nn.ReLU())
    const stack = model.forward(torch.ones([1, 2])).gradFn!.metadata['traceback_'] as string[]
    expect(stack[0]).toMatch(/anomaly\.test\.ts/)
  })

  test('costs nothing when it is off', () => {
    expect(squareOf(leaf(1)).gradFn!.metadata).toEqual({})
  })

  test('is printed when the pass fails', () => {
    const thrown = message(() =>
      detectAnomaly(() =>
        Fails.apply(squareOf(leaf(1)))
          .sum()
          .backward(),
      ),
    )
    expect(thrown).toBe('no')
    expect(said[0]).toMatch(/^Anomaly Detection has been enabled/)
    expect(said[1]).toMatch(/^Error detected in FailsBackward\. Traceback of forward call that caused the error:\nat .*anomaly\.test\.ts/)
    expect(said.length).toBe(2)
  })

  test('may be missing', () => {
    const y = Fails.apply(leaf(1)).sum()
    message(() => detectAnomaly(() => y.backward()))
    expect(said[1]).toBe(
      'Error detected in FailsBackward. No forward pass information available. Enable detect anomaly during forward pass for more information.',
    )
  })

  test('leads from a pass that was recorded to the node that it ran', () => {
    class Inner extends autograd.Function {
      static forward(_ctx: torch.autograd.FunctionCtx, g: torch.Tensor): torch.Tensor {
        return g.mul(2)
      }
      static backward(): torch.Tensor {
        throw new RangeError('inner')
      }
    }
    class Outer extends autograd.Function {
      static forward(_ctx: torch.autograd.FunctionCtx, x: torch.Tensor): torch.Tensor {
        return x.mul(2)
      }
      static backward(_ctx: torch.autograd.FunctionCtx, g: torch.Tensor): torch.Tensor {
        return Inner.apply(g)
      }
    }
    setDetectAnomaly(true)
    const x = leaf(1)
    const v = leaf(1)
    const [g] = autograd.grad(Outer.apply(x), x, { gradOutputs: v, createGraph: true })
    expect((g!.gradFn!.metadata['parent_'] as torch.autograd.Node).name()).toBe('OuterBackward')
    expect(message(() => g!.sum().backward())).toBe('inner')
    expect(said[0]).toMatch(/^Error detected in InnerBackward\. Traceback of forward call/)
    expect(said[1]).toMatch(
      /^\n\nPrevious calculation was induced by OuterBackward\. Traceback of forward call that induced the previous calculation:\nat .*anomaly\.test\.ts/,
    )
  })

  test("a handler that throws doesn't hide the error", () => {
    const y = Fails.apply(leaf(1)).sum()
    const { error } = console
    const printed: unknown[] = []
    console.error = (text: unknown) => printed.push(text)
    try {
      setDetectAnomaly(true)
      torch.setWarningHandler((text) => {
        throw new Error(text)
      })
      expect(message(() => y.backward())).toBe('no')
    } finally {
      console.error = error
    }
    expect(printed[0]).toMatch(/^Error detected in FailsBackward/)
  })
})

describe('NaNs', () => {
  const root = (): void => {
    const x = leaf(0, 4)
    x.sqrt()
      .mul(torch.tensor([0, 1]))
      .sum()
      .backward()
  }

  test('are refused where they arise, with the line of the call', () => {
    setDetectAnomaly(true)
    expect(message(root)).toMatch(
      /^Function 'SqrtBackward0' returned nan values in its 0th output\. It was recorded at root .*anomaly\.test\.ts:\d+:\d+\)?\. That is the gradient of input 0 of sqrt \(shape \[2\]\)/,
    )
    expect(said[0]).toMatch(/^Error detected in SqrtBackward0\. Traceback/)
  })

  test('pass without the check', () => {
    setDetectAnomaly(true, { checkNan: false })
    root()
    detectAnomaly(root, { checkNan: false })
    expect(said.length).toBe(1)
  })

  test('are found in strided gradients and in other inputs', () => {
    setDetectAnomaly(true)
    const a = leaf(1, 2)
    const b = leaf(0, 0)
    expect(message(() => a.div(b).mul(0).sum().backward())).toMatch(/^Function 'DivBackward0' returned nan values in its [01]th output/)
  })
})

describe('errors of the graph', () => {
  test('an in-place conflict names both operations, and both lines', () => {
    const conflict = (): void => {
      const y = leaf(1, 2).mul(2)
      const z = squareOf(y)
      y.add_(1)
      z.sum().backward()
    }
    expect(message(conflict)).toMatch(/MulBackward0 of mul saved it; add_ changed it last\. .*Hint: enable anomaly detection to find/)
    setDetectAnomaly(true)
    expect(message(conflict)).toMatch(
      /MulBackward0 of mul saved it; add_ changed it last\. .*Hint: the backtrace further above shows the operation that failed to compute its gradient.*It was saved at squareOf .*anomaly\.test\.ts:\d+:\d+\)?\. It was changed at conflict .*anomaly\.test\.ts:\d+:\d+\)?\.$/,
    )
  })

  test('a second backward names the node, its operation, and where it was freed', () => {
    const first = (y: torch.Tensor): void => y.backward()
    const twice = (): void => {
      const y = squareOf(leaf(1)).sum()
      first(y)
      y.backward()
    }
    expect(message(twice)).toMatch(/The node is MulBackward0 of mul \(output \[1\]\); an earlier backward went through it\. /)
    setDetectAnomaly(true)
    expect(message(twice)).toMatch(
      /The node is MulBackward0 of mul \(output \[1\]\); an earlier backward went through it\. It was recorded at squareOf .*anomaly\.test\.ts:\d+:\d+\)? and freed at first .*anomaly\.test\.ts:\d+/,
    )
  })

  test('an unused input is named by position, shape and parameter name', () => {
    const model = new torch.nn.Sequential(new torch.nn.Linear(3, 2), new torch.nn.Linear(2, 1))
    const parameters = [...model.namedParameters()].map(([, p]) => p)
    const y = parameters[0]!.sum()
    expect(message(() => autograd.grad(y, parameters))).toMatch(
      /^The differentiated Tensor at index 1 appears to not have been used in the graph\. Set allowUnused: true if this is the desired behavior\. It is input 1 \(shape \[2\], the parameter 0\.bias\)/,
    )
  })
})

describe('the switch', () => {
  test('nests and restores', () => {
    const state = (): boolean[] => [torch.isAnomalyEnabled(), torch.isAnomalyCheckNanEnabled()]
    expect(state()).toEqual([false, true])
    detectAnomaly(
      () => {
        expect(state()).toEqual([true, false])
        const inner = setDetectAnomaly(true)
        expect(state()).toEqual([true, true])
        inner.restore()
        expect(state()).toEqual([true, false])
      },
      { checkNan: false },
    )
    expect(state()).toEqual([false, true])
    expect(() => detectAnomaly(root)).toThrow('out')
    expect(torch.isAnomalyEnabled()).toBe(false)
    function root(): never {
      throw new Error('out')
    }
  })

  test('refuses async functions', () => {
    expect(() => detectAnomaly(async () => {})).toThrow(torch.ModeError)
  })
})
