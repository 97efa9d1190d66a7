/** Rounds of whatever autograd can do, exceptions included, and tests that nothing lives on after thousands of them. */
import { beforeAll, expect, test } from 'vitest'
import * as autograd from '../../src/autograd/index.ts'
import * as torch from '../../src/index.ts'
import { collector } from '../../src/memory/collector.ts'

const { graph } = autograd

/** More than 4 KiB each: storages with blocks of their own, which the collector counts one by one. */
const N = 1100

/** No Error: recording where it was made would take most of the time. */
class Deliberate {}

const fail = (..._: unknown[]): never => {
  throw new Deliberate()
}

/** Runs what must throw. */
function thrown(run: () => unknown): void {
  try {
    run()
  } catch (error) {
    if (error instanceof Deliberate) return
    throw error
  }
  throw new Error('nothing was thrown')
}

class Square extends autograd.Function {
  static forward(ctx: autograd.FunctionCtx<{ input?: torch.Tensor }, [torch.Tensor]>, x: torch.Tensor): torch.Tensor {
    const y = x.mul(x)
    ctx.saveForBackward(x, y)
    // Kept the wrong way, too: a cycle through the node.
    ctx.input = x
    return y
  }
  static backward(ctx: autograd.FunctionCtx<{ input?: torch.Tensor }, [torch.Tensor]>, g: torch.Tensor): torch.Tensor {
    return g.mul(ctx.savedTensors[0]!).mul(2)
  }
}

class FailingBackward extends autograd.Function {
  static forward(ctx: autograd.FunctionCtx<object, [torch.Tensor]>, x: torch.Tensor): torch.Tensor {
    ctx.saveForBackward(x)
    return x.exp()
  }
  static backward(ctx: autograd.FunctionCtx<object, [torch.Tensor]>, g: torch.Tensor): torch.Tensor {
    g.mul(ctx.savedTensors[0]!)
    return fail()
  }
}

class FailingForward extends autograd.Function {
  static forward(ctx: autograd.FunctionCtx<object, [torch.Tensor]>, x: torch.Tensor): torch.Tensor {
    ctx.saveForBackward(x.exp())
    return fail()
  }
  static backward(_: autograd.FunctionCtx<object, [torch.Tensor]>, g: torch.Tensor): torch.Tensor {
    return g
  }
}

const x = torch.full([N], 0.5, { requiresGrad: true })
const w = torch.full([N], 0.25, { requiresGrad: true })

const scenarios: Record<string, () => void> = {
  'graphs that are never run': () => void x.mul(w).tanh().sum(),
  'hooks of every kind': () => {
    const y = x.mul(w)
    const handles = [
      x.registerHook((g) => g.mul(2)),
      y.registerHook((g) => g.add(1)),
      w.registerPostAccumulateGradHook((t) => void t.grad!.mul_(0.5)),
      y.gradFn!.registerPrehook((gs) => [gs[0]!.mul(3)]),
      y.gradFn!.registerHook((gs) => gs.map((g) => g?.mul(0.5) ?? null)),
      graph.registerMultiGradHook([x, w], () => {}),
    ]
    y.retainGrad()
    y.tanh().sum().backward()
    for (const h of handles) h.remove()
  },
  'hooks that hold their own tensors': () => {
    const y = x.mul(w)
    y.registerHook(() => y.detach())
    y.gradFn!.metadata['mine'] = y
    if (x.grad !== null) x.grad = null
    y.sum().backward()
  },
  'gradients that are part of the graph': () => {
    x.pow(3).sum().backward({ createGraph: true })
    x.grad!.mul(x.grad!).sum().backward()
    const [g] = autograd.grad(x.mul(w).tanh().sum(), [x], { createGraph: true }) as [torch.Tensor]
    g.sum().backward({ retainGraph: true, createGraph: true })
  },
  'graphs that are retained': () => {
    const y = x.mul(w).tanh()
    const loss = y.mul(y).sum()
    loss.backward({ retainGraph: true })
    loss.backward({ retainGraph: true })
  },
  'gradients that are returned': () => {
    const y = x.mul(w)
    autograd.grad(y.exp().sum(), [x, y, w], { retainGraph: true })
    autograd.grad(y.sum(), [x, torch.full([N], 1, { requiresGrad: true })], { allowUnused: true })
  },
  'a hook that throws': () => {
    const y = x.mul(w)
    y.registerHook(fail)
    const z = y.exp()
    // Other branches have gradients waiting when it throws.
    const loss = z.add(y.mul(2)).add(x.tanh()).add(z.mul(w)).sum()
    thrown(() => loss.backward({ retainGraph: true }))
    thrown(() => loss.add(x.exp().sum()).backward({ retainGraph: true, createGraph: true }))
  },
  'hooks of nodes and leaves that throw': () => {
    const y = x.mul(w).tanh()
    const post = y.gradFn!.registerHook(fail)
    thrown(() => y.add(x).sum().backward({ retainGraph: true }))
    post.remove()
    const pre = y.gradFn!.registerPrehook(fail)
    thrown(() => y.add(x).sum().backward({ retainGraph: true }))
    pre.remove()
    const leaf = w.registerPostAccumulateGradHook(fail)
    thrown(() => y.exp().sum().backward())
    leaf.remove()
  },
  'passes inside passes': () => {
    const y = x.mul(w)
    const z = y.tanh()
    z.registerHook(() => torch.enableGrad(() => y.exp().sum().backward({ retainGraph: true })))
    z.sum().backward()
    const again = x.exp()
    again.registerHook(() => {
      thrown(() => {
        const inner = torch.enableGrad(() => again.mul(w))
        inner.registerHook(fail)
        torch.enableGrad(() => inner.sum()).backward()
      })
    })
    again.tanh().sum().backward()
  },
  Functions: () => {
    Square.apply(x.mul(w)).sum().backward()
    Square.apply(x.mul(w)).sum().backward({ createGraph: true })
    Square.apply(x)
  },
  'a backward of a Function that throws': () => {
    const y = FailingBackward.apply(x.mul(w))
    thrown(() => y.add(x.exp()).sum().backward())
    thrown(() => autograd.grad(FailingBackward.apply(x).mul(w).sum(), [x], { createGraph: true }))
  },
  'a forward of a Function that throws': () => thrown(() => FailingForward.apply(x.mul(w))),
  'saved-tensor hooks': () => {
    graph.savedTensorsHooks(
      (t) => t.detach().mul(1),
      (t) => t.mul(1),
      () => x.mul(w).tanh().sum().backward(),
    )
    thrown(() =>
      graph.savedTensorsHooks(
        fail,
        (t: torch.Tensor) => t,
        () => x.mul(w).tanh(),
      ),
    )
    let unpacked = 0
    const loss = graph.savedTensorsHooks(
      (t) => t,
      // The second one has a gradient in its hands that nobody was shown.
      (t: torch.Tensor) => (++unpacked === 2 ? fail() : t),
      () => x.mul(w).exp().tanh().sum(),
    )
    thrown(() => loss.backward())
  },
  checkpoints: () => {
    autograd
      .checkpoint((t: torch.Tensor) => t.mul(w).tanh().exp(), x)
      .sum()
      .backward()
    autograd.checkpoint((t: torch.Tensor) => t.mul(w).tanh().exp(), x)
    let runs = 0
    const y = autograd.checkpoint((t: torch.Tensor) => (++runs === 2 ? fail() : t.mul(w).tanh().exp()), x)
    thrown(() => y.sum().backward())
  },
  'in-place changes of views': () => {
    const y = x.mul(w)
    y.narrow(0, 0, 10).mul_(2)
    y.add_(1).tanh_()
    y.sum().backward()
    y.detach_()
  },
  'numpy() and data': () => {
    const y = x.mul(w)
    y.detach().numpy().set(0, 1)
    y.data.add_(1)
    y.tanh().sum().backward()
  },
  transforms: () => {
    torch.func.grad((t: torch.Tensor) => t.mul(w).tanh().sum())(x.detach())
    torch.func.jvp((t: torch.Tensor) => t.mul(w).tanh(), [x.detach()], [w.detach()])
    thrown(() => torch.func.grad((t: torch.Tensor) => fail(t.mul(w).tanh()))(x.detach()))
    thrown(() => torch.func.vmap((t: torch.Tensor) => fail(t.exp()))(x.detach()))
  },
  'scopes that throw': () => {
    thrown(() => torch.scope(() => fail(x.mul(w).sum().backward())))
    torch.scope(() =>
      torch
        .scope(() => x.mul(w))
        .sum()
        .backward(),
    )
  },
}

/** Tests that after `rounds` of each scenario no more lives than before. */
export function nothingLeaks(rounds: number): void {
  // A collection that had begun earlier keeps what has died since; one after it doesn't. What leaks survives them all.
  const measure = (): { used: number; blocks: number; regions: number; heap: number } => {
    const least = { used: Infinity, blocks: Infinity, regions: Infinity, heap: Infinity }
    for (let i = 0; i < 6; i++) {
      collector().sweep()
      const { used, blocks, regions } = torch.memoryStats()
      for (const [key, n] of Object.entries({ used, blocks, regions, heap: process.memoryUsage().heapUsed }))
        least[key as keyof typeof least] = Math.min(least[key as keyof typeof least], n)
    }
    return least
  }
  beforeAll(() => torch.configureMemory({ budget: 64 * 1048576 }))

  for (const [name, scenario] of Object.entries(scenarios)) {
    test(name, { timeout: 120_000 }, () => {
      const round = (): void => {
        scenario()
        x.grad = null
        w.grad = null
      }
      // A sweep or more, so that what grows once has grown.
      for (let i = 0; i < 1000; i++) round()
      const before = measure()
      for (let i = 0; i < rounds; i++) round()
      const after = measure()
      // Leaves keep the buffer of a gradient for the next one; the last graph may still be on somebody's stack.
      expect(after.blocks).toBeLessThanOrEqual(before.blocks + 4)
      expect(after.regions).toBeLessThanOrEqual(before.regions + 3)
      // Blocks that nobody tracks any more would show here.
      expect(after.used - before.used).toBeLessThan(200 * rounds)
      // Small tensors and nodes; the heap of a process breathes by a megabyte.
      expect(after.heap - before.heap).toBeLessThan(1e6 + 50 * rounds)
    })
  }
}
