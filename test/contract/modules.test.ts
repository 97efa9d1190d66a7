/** Hooks of modules do what PyTorch's do, case by case, as record_modules.py recorded it. */
import { expect, expectTypeOf, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { type Cases, compare, error, leaf, plain } from './harness.ts'

type Tensor = torch.Tensor
type Grads = (Tensor | null)[]
const { autograd, nn, noGrad } = torch

class Scale extends nn.Module<[Tensor]> {
  readonly weight: torch.nn.Parameter
  constructor(k = 2) {
    super()
    this.weight = new nn.Parameter(torch.tensor(k, { dtype: 'float64' }))
  }
  forward(x: Tensor): Tensor {
    return x.mul(this.weight)
  }
}
class Add extends nn.Module<[Tensor, Tensor]> {
  forward(x: Tensor, y: Tensor): Tensor {
    return x.add(y.mul(3))
  }
}
class Pair extends nn.Module<[Tensor], Tensor[]> {
  forward(x: Tensor): Tensor[] {
    return [x.mul(2), x.mul(3)]
  }
}
class Fails extends nn.Module<[Tensor]> {
  forward(): Tensor {
    throw new Error('mine')
  }
}
class Times extends nn.Module<[number, Tensor, string]> {
  forward(k: number, x: Tensor): Tensor {
    return x.mul(k)
  }
}
class Cube extends nn.Module<[Tensor]> {
  forward(x: Tensor): Tensor {
    return x.pow(3)
  }
}

function nums(t: unknown): unknown {
  if (Array.isArray(t)) return t.map(nums)
  return t instanceof torch.Tensor ? (t as Tensor).detach().tolist() : t
}
/** Notes the gradients a backward hook is shown. */
const note =
  (seen: unknown[]) =>
  (_: unknown, gi: Grads, go: Grads): void => {
    seen.push([nums(gi), nums(go)])
  }
/** Notes a word. */
const say =
  (log: unknown[], word: string) =>
  (...args: unknown[]): void => {
    args.length > 0 && log.push(word)
  }
const first = (list: Grads): Tensor => list[0]!

const cases: Cases = {
  forward_hooks_in_order() {
    const log: unknown[] = []
    const m = new Scale()
    m.registerForwardHook(say(log, 'hook 1'))
    m.registerForwardPreHook(say(log, 'pre 1'))
    m.registerForwardHook(say(log, 'hook 2'))
    m.registerForwardPreHook(say(log, 'pre 2'))
    m.registerForwardHook(say(log, 'hook 0'), { prepend: true })
    m.registerForwardPreHook(say(log, 'pre 0'), { prepend: true })
    m.call(plain(1))
    return log
  },
  forward_hooks_replace() {
    const m = new Scale()
    m.registerForwardPreHook((_, [x]) => [x.add(1)])
    m.registerForwardPreHook((_, [x]) => x.mul(10))
    m.registerForwardHook((_, __, y) => y.add(0.5))
    const seen: unknown[] = []
    m.registerForwardHook((_, i, o) => {
      seen.push([nums(i), nums(o)])
    })
    return [nums(m.call(plain(1))), seen]
  },
  forward_hooks_removed_while_they_run() {
    const log: unknown[] = []
    const m = new Scale()
    const handles: torch.nn.ModuleHookHandle[] = []
    handles.push(
      m.registerForwardHook(() => {
        log.push('first')
        handles[1]!.remove()
      }),
    )
    handles.push(m.registerForwardHook(say(log, 'second')))
    m.call(plain(1))
    m.call(plain(1))
    handles[0]!.remove()
    handles[0]!.remove()
    m.call(plain(1))
    return log
  },
  always_called() {
    const log: unknown[] = []
    const m = new Fails()
    m.registerForwardHook(say(log, 'plain'))
    m.registerForwardHook(
      (_, __, o) => {
        log.push(['always', (o as unknown) === null])
      },
      { alwaysCall: true },
    )
    return [error(() => m.call(plain(1))), log]
  },
  always_called_once() {
    const log: unknown[] = []
    const m = new Scale()
    m.registerForwardHook(say(log, 'before'), { alwaysCall: true })
    m.registerForwardHook(() => {
      log.push('fails')
      throw new Error('mine')
    })
    m.registerForwardHook(say(log, 'after'), { alwaysCall: true })
    return [error(() => m.call(plain(1))), log]
  },
  backward_hook_sees() {
    const [m, x, seen] = [new Scale(), leaf(1, 2), [] as unknown[]]
    m.registerFullBackwardHook(note(seen))
    m.call(x).mul(plain(5, 7)).sum().backward()
    return [seen, nums(x.grad), nums(m.weight.grad)]
  },
  backward_hook_replaces() {
    const [m, x, seen] = [new Scale(), leaf(1, 2), [] as unknown[]]
    m.registerFullBackwardHook((_, gi) => [first(gi).mul(10)])
    m.registerFullBackwardHook((_, gi) => {
      seen.push(nums(gi))
    })
    m.registerFullBackwardHook((_, gi) => first(gi).add(1))
    m.call(x).sum().backward()
    return [seen, nums(x.grad), nums(m.weight.grad)]
  },
  backward_pre_hook_replaces() {
    const [m, x, seen] = [new Scale(), leaf(1, 2), [] as unknown[]]
    m.registerFullBackwardPreHook((_, go) => [first(go).mul(3)])
    m.registerFullBackwardPreHook((_, go) => first(go).add(1))
    m.registerFullBackwardHook(note(seen))
    m.call(x).sum().backward()
    return [seen, nums(x.grad), nums(m.weight.grad)]
  },
  backward_hooks_in_order() {
    const log: unknown[] = []
    const m = new Scale()
    m.registerFullBackwardHook(say(log, 'hook 1'))
    m.registerFullBackwardPreHook(say(log, 'pre 1'))
    m.registerFullBackwardHook(say(log, 'hook 0'), { prepend: true })
    m.registerFullBackwardPreHook(say(log, 'pre 0'), { prepend: true })
    m.registerForwardHook(say(log, 'forward'))
    m.call(leaf(1)).sum().backward()
    return log
  },
  backward_hooks_nested() {
    const log: unknown[] = []
    const [inner, last] = [new Scale(), new Scale(3)]
    const outer = new nn.Sequential(inner, last)
    for (const [name, m] of [
      ['outer', outer],
      ['inner', inner],
      ['last', last],
    ] as const) {
      m.registerFullBackwardPreHook((_, go) => {
        log.push([`${name} pre`, nums(go)])
      })
      m.registerFullBackwardHook((_, gi, go) => {
        log.push([name, nums(gi), nums(go)])
      })
    }
    outer.call(leaf(1, 2)).sum().backward()
    return log
  },
  several_inputs() {
    const [m, x, y, seen] = [new Add(), leaf(1), leaf(2), [] as unknown[]]
    m.registerFullBackwardHook(note(seen))
    m.call(x, y).sum().backward()
    m.call(x, plain(2)).sum().backward()
    m.call(plain(2), y).sum().backward()
    return [seen, nums(x.grad), nums(y.grad)]
  },
  values_that_are_no_tensors() {
    const [m, x, seen] = [new Times(), leaf(1), [] as unknown[]]
    m.registerFullBackwardHook(note(seen))
    m.call(3, x, 'name').sum().backward()
    return [seen, nums(x.grad)]
  },
  several_outputs() {
    const [m, x, seen] = [new Pair(), leaf(1, 2), [] as unknown[]]
    m.registerFullBackwardHook(note(seen))
    const [a, b] = m.call(x)
    a!.add(b!).sum().backward()
    m.call(x)[0]!.sum().backward()
    return [seen, nums(x.grad)]
  },
  inputs_without_gradients() {
    const [m, seen] = [new Scale(), [] as unknown[]]
    let warnings = 0
    torch.setWarningHandler(() => warnings++)
    m.registerFullBackwardHook(note(seen))
    m.call(plain(1, 2)).sum().backward()
    return [seen, nums(m.weight.grad), warnings]
  },
  returned_without_gradients() {
    const m = new Scale()
    const h = m.registerFullBackwardHook(() => [plain(1, 2)])
    const text = error(() => m.call(plain(1, 2)).sum().backward())
    h.remove()
    m.registerFullBackwardHook(() => [null])
    return [text, error(() => m.call(plain(1, 2)).sum().backward())]
  },
  no_parameters_and_no_gradients() {
    const [m, seen] = [new Add(), [] as unknown[]]
    m.registerFullBackwardHook(note(seen))
    return [m.call(plain(1), plain(2)).requiresGrad, seen]
  },
  under_no_grad() {
    const m = new Scale()
    m.registerFullBackwardHook(note([]))
    const y = noGrad(() => m.call(leaf(1)))
    return [y.requiresGrad, y.gradFn === null]
  },
  wrong_counts() {
    const [a, b] = [new Scale(), new Scale()]
    a.registerFullBackwardHook((_, [g]) => [g!, g!])
    b.registerFullBackwardPreHook((_, [g]) => [g!, g!])
    return [a, b].map((m) => error(() => m.call(leaf(1)).sum().backward()))
  },
  boundary_nodes() {
    const m = new Scale()
    m.registerFullBackwardHook(() => null)
    const y = m.call(leaf(1))
    const inside = y.gradFn!.nextFunctions[0]![0]!
    const text = error(() => y.add_(1)).replace('FunctionBackward', 'Function')
    return [y.gradFn!.name(), inside.name(), inside.nextFunctions[0]![0]!.name(), y.viewMeta !== null, text.slice(0, 70)]
  },
  removed_backward_hook() {
    const [m, x, seen] = [new Scale(), leaf(1), [] as unknown[]]
    const h = m.registerFullBackwardHook(say(seen, 'full'))
    const p = m.registerFullBackwardPreHook(say(seen, 'pre'))
    const y = m.call(x)
    h.remove()
    p.remove()
    y.sum().backward()
    return [seen, m.call(x).gradFn!.name()]
  },
  twice_through_one_graph() {
    const [m, x, seen] = [new Scale(), leaf(1, 2), [] as unknown[]]
    m.registerFullBackwardHook(note(seen))
    const y = m.call(x).sum()
    y.backward({ retainGraph: true })
    y.backward()
    return [seen, nums(x.grad)]
  },
  second_derivatives_through_hooks() {
    const [m, x] = [new Cube(), leaf(2)]
    m.registerFullBackwardHook((_, gi) => [first(gi).mul(2)])
    const [g] = autograd.grad(m.call(x).sum(), x, { createGraph: true })
    const [gg] = autograd.grad(g!.sum(), x)
    return [nums(g), nums(gg)]
  },
  grad_of_inner_parameters_only() {
    const [m, x, seen] = [new Scale(), leaf(1, 2), [] as unknown[]]
    m.registerFullBackwardHook(note(seen))
    m.registerFullBackwardPreHook(say(seen, 'pre'))
    const [g] = autograd.grad(m.call(x).sum(), m.weight)
    return [seen, nums(g)]
  },
  global_hooks() {
    const [log, m] = [[] as unknown[], new Scale()]
    m.registerForwardPreHook(say(log, 'pre'))
    m.registerForwardHook(say(log, 'hook'))
    m.registerFullBackwardPreHook(say(log, 'backward pre'))
    m.registerFullBackwardHook(say(log, 'backward'))
    const handles = [
      nn.registerModuleForwardPreHook(say(log, 'global pre')),
      nn.registerModuleForwardHook(say(log, 'global hook')),
      nn.registerModuleFullBackwardPreHook(say(log, 'global backward pre')),
      nn.registerModuleFullBackwardHook(say(log, 'global backward')),
    ]
    const x = leaf(1)
    m.call(x).sum().backward()
    for (const h of handles) h.remove()
    m.call(x).sum().backward()
    return log
  },
  global_hooks_see_every_module() {
    const seen: unknown[] = []
    const h = nn.registerModuleForwardHook((m) => {
      seen.push(m.constructor.name)
    })
    new nn.Sequential(new Scale(), new nn.ReLU()).call(plain(1))
    h.remove()
    return seen
  },
}

compare('hooks of modules', 'modules.json', cases)

test('hooks that throw while an error is on its way are silenced with a warning', () => {
  const m = new Fails()
  const said: string[] = []
  torch.setWarningHandler((text) => said.push(text))
  m.registerForwardHook(
    () => {
      throw new Error('second')
    },
    { alwaysCall: true },
  )
  expect(() => m.call(plain(1))).toThrow('mine')
  torch.setWarningHandler(null)
  expect(said[0]).toContain('silenced as another error was raised in forward: Error: second')
})

test('hooks are typed by what the module takes and gives', () => {
  new Add().registerForwardHook((_, inputs, output) => {
    expectTypeOf(inputs).toEqualTypeOf<[Tensor, Tensor]>()
    expectTypeOf(output).toEqualTypeOf<Tensor>()
  })
  expect(() => new Add().registerForwardHook(5 as never)).toThrow('a hook must be a function, got number')
})
