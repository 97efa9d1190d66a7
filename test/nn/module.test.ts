/** Modules: registration, traversal, state, hooks, containers; clipping; safetensors. */
import { describe, expect, expectTypeOf, test } from 'vitest'
import * as torch from '../../src/index.ts'

const { nn, tensor, io } = torch
type Tensor = torch.Tensor

class Net extends nn.Module {
  scale = new nn.Parameter(tensor([2]))
  readonly first = new nn.Linear(2, 3)
  readonly norm = new nn.BatchNorm1d(3)
  readonly second = new nn.Linear(3, 1, { bias: false })
  readonly notes = ['not', 'parts']
  forward(x: Tensor): Tensor {
    return this.second.call(this.norm.call(this.first.call(x)).relu()).mul(this.scale)
  }
}
const names = (entries: Iterable<[string, unknown]>): string[] => [...entries].map(([name]) => name)

describe('Parameter and Buffer', () => {
  test('a parameter is a leaf of its own', () => {
    const source = tensor([1, 2])
    const p = new nn.Parameter(source)
    expectTypeOf(p).toExtend<Tensor>()
    expect([p.isLeaf, p.requiresGrad, p instanceof torch.Tensor, p instanceof nn.Parameter]).toEqual([true, true, true, true])
    expect([source instanceof nn.Parameter, p instanceof nn.Buffer]).toEqual([false, false])
    source.fill_(0)
    expect(p.tolist()).toEqual([1, 2])
    expect(new nn.Parameter(p.mul(2), false).requiresGrad).toBe(false)
    expect(() => new nn.Parameter(tensor([1], { dtype: 'int32' }))).toThrow(
      'Only Tensors of floating point and complex dtype can require gradients',
    )
    expect(() => new nn.Parameter([1] as never)).toThrow('expected a tensor')
    expect(new nn.Parameter(tensor([1], { dtype: 'int32' }), false).dtype).toBe('int32')
  })

  test('both outlive scopes', () => {
    const [p, b] = torch.scope(() => {
      const made = [new nn.Parameter(tensor([1, 2])), new nn.Buffer(tensor([3]))] as const
      return { made } as unknown as { made: typeof made }
    }).made
    expect([p.tolist(), b.tolist()]).toEqual([[1, 2], [3]])
    expect(() => new nn.Buffer(tensor([1], { requiresGrad: true }))).toThrow('detach()')
  })
})

describe('parts', () => {
  test('names, in the order of assignment', () => {
    const net = new Net()
    expect(names(net.namedParameters())).toEqual(['scale', 'first.weight', 'first.bias', 'norm.weight', 'norm.bias', 'second.weight'])
    expect(names(net.namedBuffers())).toEqual(['norm.runningMean', 'norm.runningVar', 'norm.numBatchesTracked'])
    expect(names(net.namedChildren())).toEqual(['first', 'norm', 'second'])
    expect(names(net.namedModules())).toEqual(['', 'first', 'norm', 'second'])
    expect(names(net.namedParameters({ prefix: 'net', recurse: false }))).toEqual(['net.scale'])
    expect(net.parameters()).toHaveLength(6)
    expect(net.modules()[0] === (net as unknown)).toBe(true)
  })

  test('assignment registers, replaces and removes', () => {
    const net = new Net() as Net & { extra?: Tensor | null }
    net.extra = new nn.Parameter(tensor([1]))
    expect(names(net.namedParameters({ recurse: false }))).toEqual(['scale', 'extra'])
    net.extra = null
    expect(names(net.namedParameters({ recurse: false }))).toEqual(['scale'])
    // @ts-expect-error a plain tensor is no parameter
    net.scale = tensor([1])
  })

  test('what is used twice is listed once, and saved under both names', () => {
    class Tied extends nn.Module {
      readonly a = new nn.Linear(2, 2, { bias: false })
      readonly b = new nn.Linear(2, 2, { bias: false })
      readonly again = this.a
      constructor() {
        super()
        this.b.weight = this.a.weight
      }
      forward(x: Tensor): Tensor {
        return this.b.forward(this.a.forward(x))
      }
    }
    const m = new Tied()
    expect(names(m.namedParameters())).toEqual(['a.weight'])
    expect(names(m.namedParameters({ removeDuplicate: false }))).toEqual(['a.weight', 'b.weight', 'again.weight'])
    expect(m.modules()).toHaveLength(3)
    expect(Object.keys(m.stateDict())).toEqual(['a.weight', 'b.weight', 'again.weight'])
    expect(m.loadStateDict(m.stateDict())).toEqual({ missingKeys: [], unexpectedKeys: [] })
  })

  test('registration by name', () => {
    const net = new Net() as Net & Record<string, unknown>
    const plain = tensor([1])
    net.registerParameter('q', new nn.Parameter(plain))
    net.registerParameter('none', null)
    net.registerBuffer('steps', tensor([0]))
    net.registerBuffer('hidden', tensor([0]), { persistent: false })
    net.registerModule('act', new nn.ReLU())
    expect(names(net.namedParameters({ recurse: false }))).toEqual(['scale', 'q'])
    expect(names(net.namedBuffers({ recurse: false }))).toEqual(['steps', 'hidden'])
    expect(Object.keys(net.stateDict()).filter((k) => !k.includes('.'))).toEqual(['scale', 'q', 'steps'])
    // A tensor assigned to a buffer's property becomes the buffer.
    net['steps'] = tensor([5])
    expect(net.stateDict()['steps']!.tolist()).toEqual([5])
    expect(() => (net['q'] = plain)).toThrow("cannot assign 'torch.FloatTensor' as parameter 'q' (torch.nn.Parameter or None expected)")
    expect(() => net.registerParameter('r', plain as never)).toThrow(
      "cannot assign 'torch.FloatTensor' object to parameter 'r' (torch.nn.Parameter or None required)",
    )
    expect(() => net.registerBuffer('b', 5 as never)).toThrow("cannot assign 'number' object to buffer 'b' (torch Tensor or None required)")
    expect(() => net.registerModule('m', 5 as never)).toThrow('number is not a Module subclass')
    expect(() => net.registerParameter('a.b', null)).toThrow('parameter name can\'t contain "."')
    expect(() => net.registerParameter('', null)).toThrow('parameter name can\'t be empty string ""')
    expect(() => net.registerParameter('forward', null)).toThrow("attribute 'forward' already exists")
  })

  test('train, eval, requiresGrad_, zeroGrad, apply', () => {
    const net = new Net()
    expect(
      net
        .eval()
        .modules()
        .map((m) => m.training),
    ).toEqual([false, false, false, false])
    expect(net.train().norm.training).toBe(true)
    expect(() => net.train('yes' as never)).toThrow('training mode is expected to be boolean')
    net
      .forward(torch.randn([4, 2]))
      .sum()
      .backward()
    const g = net.first.weight.grad!
    net.zeroGrad({ setToNone: false })
    expect(net.first.weight.grad).toBe(g)
    expect(g.abs().sum().item()).toBe(0)
    net.zeroGrad()
    expect(net.parameters().map((p) => p.grad)).toEqual(net.parameters().map(() => null))
    expect(
      net
        .requiresGrad_(false)
        .parameters()
        .some((p) => p.requiresGrad),
    ).toBe(false)
    const seen: string[] = []
    net.apply((m) => seen.push(m.constructor.name))
    expect(seen).toEqual(['Linear', 'BatchNorm1d', 'Linear', 'Net'])
  })

  test('to converts floats in place, gradients too', () => {
    const net = new Net()
    const x = torch.randn([4, 2])
    net.forward(x).sum().backward()
    const [weight, bias] = [net.first.weight, net.first.bias!]
    const before = weight.tolist()
    weight.registerHook(() => {})
    net.double()
    expect([weight.dtype, weight.grad!.dtype, bias.dtype, net.norm.runningMean!.dtype]).toEqual([
      'float64',
      'float64',
      'float64',
      'float64',
    ])
    expect(net.norm.numBatchesTracked!.dtype).toBe('int32')
    expect(weight.tolist()).toEqual(before)
    expect(net.first.weight === weight && weight.isLeaf && weight.requiresGrad).toBe(true)
    net.forward(x.to('float64')).sum().backward()
    expect(weight.grad!.dtype).toBe('float64')
    expect(net.float().first.weight.dtype).toBe('float32')
    expect(() => net.to('int32' as never)).toThrow('nn.Module.to only accepts floating point or complex dtypes')
  })

  test('toString prints the tree', () => {
    expect(new nn.Sequential(new nn.Linear(2, 3), new nn.Sequential(new nn.ReLU(), new nn.Softmax(1))).toString()).toBe(
      [
        'Sequential(',
        '  (0): Linear(inFeatures=2, outFeatures=3, bias=true)',
        '  (1): Sequential(',
        '    (0): ReLU()',
        '    (1): Softmax(dim=1)',
        '  )',
        ')',
      ].join('\n'),
    )
    expect(new nn.Conv2d(1, 8, 3, { padding: 1, bias: false }).toString()).toBe(
      'Conv2d(1, 8, kernelSize=[3, 3], stride=[1, 1], padding=[1, 1], bias=false)',
    )
    expect(new nn.MaxPool2d(2).toString()).toBe('MaxPool2d(kernelSize=2, stride=2, padding=0)')
  })
})

describe('state', () => {
  test('shares memory with the module, and goes into another', () => {
    const [a, b] = [new Net(), new Net()]
    const state = a.stateDict()
    expect(Object.values(state).some((t) => t.requiresGrad)).toBe(false)
    expect(b.loadStateDict(state)).toEqual({ missingKeys: [], unexpectedKeys: [] })
    const x = torch.randn([3, 2])
    expect(b.eval().forward(x).tolist()).toEqual(a.eval().forward(x).tolist())
    torch.noGrad(() => a.scale.fill_(9))
    expect(state['scale']!.tolist()).toEqual([9])
    expect(b.scale.tolist()).toEqual([2])
    expect(a.stateDict({ keepVars: true })['scale'] === (a.scale as Tensor)).toBe(true)
    expect(Object.keys(a.stateDict({ prefix: 'net', snakeCase: true }))).toContain('net.norm.running_mean')
  })

  test('what does not fit is named, and nothing is copied', () => {
    const layer = new nn.Linear(2, 3)
    const { weight } = layer.stateDict()
    expect(() => layer.loadStateDict({ weight: weight!, x: weight! })).toThrow(
      'Error(s) in loading state_dict for Linear:\n\tMissing key(s) in state_dict: "bias". \n\tUnexpected key(s) in state_dict: "x". ',
    )
    const before = layer.bias!.tolist()
    expect(() => layer.loadStateDict({ bias: torch.zeros(3), weight: torch.zeros([2, 2]) }, { strict: false })).toThrow(
      'size mismatch for weight: copying a param with shape [2, 2] from checkpoint, the shape in current model is [3, 2].',
    )
    expect(layer.bias!.tolist()).toEqual(before)
    expect(layer.loadStateDict({ bias: torch.zeros(3), y: torch.zeros(1) }, { strict: false })).toEqual({
      missingKeys: ['weight'],
      unexpectedKeys: ['y'],
    })
    expect(layer.bias!.tolist()).toEqual([0, 0, 0])
    expect(() => layer.loadStateDict(5 as never)).toThrow('Expected state_dict to be dict-like, got number.')
    expect(() => layer.loadStateDict({ weight: 5, bias: torch.zeros(3) } as never)).toThrow('While copying the parameter named "weight"')
  })

  test('through safetensors and back', () => {
    const [a, b] = [new Net(), new Net()]
    const bytes = io.saveSafetensors(a.stateDict({ snakeCase: true }), { epoch: '3' })
    const state = io.loadSafetensors(bytes)
    expect(Object.keys(state).sort()).toEqual(Object.keys(a.stateDict({ snakeCase: true })).sort())
    b.loadStateDict(state)
    for (const [name, t] of Object.entries(a.stateDict())) expect(b.stateDict()[name]!.tolist()).toEqual(t.tolist())
    const mixed = {
      a: tensor([true, false]),
      b: tensor([[1, -2]], { dtype: 'int32' }),
      c: tensor([[1.5, 2]]).t(),
      d: tensor(7, { dtype: 'uint8' }),
    }
    const back = io.loadSafetensors(io.saveSafetensors(mixed))
    for (const [name, t] of Object.entries(mixed)) {
      expect([back[name]!.dtype, back[name]!.shape, back[name]!.tolist()]).toEqual([t.dtype, t.shape, t.tolist()])
    }
  })
})

describe('hooks', () => {
  test('run around call, in order, and may replace', () => {
    const layer = new nn.Identity()
    const log: string[] = []
    const pre = layer.registerForwardPreHook((_, [x]) => {
      log.push('pre')
      return [x.add(1)]
    })
    const post = layer.registerForwardHook((module, [x], y) => {
      log.push(`post ${x.item()} ${module === (layer as unknown)}`)
      return y.mul(10)
    })
    expect(layer.call(tensor(1)).item()).toBe(20)
    expect(layer.forward(tensor(1)).item()).toBe(1)
    expect(log).toEqual(['pre', 'post 2 true'])
    pre.remove()
    pre.remove()
    post.remove()
    expect(layer.call(tensor(1)).item()).toBe(1)
  })

  test('containers call their modules', () => {
    const act = new nn.ReLU()
    const seen: number[] = []
    act.registerForwardHook((_, __, y) => {
      seen.push(y.item())
    })
    new nn.Sequential(new nn.Identity(), act).forward(tensor(3))
    expect(seen).toEqual([3])
  })
})

describe('containers', () => {
  test('Sequential by position and by name', () => {
    const s = new nn.Sequential(new nn.Linear(2, 2), new nn.ReLU())
    expect(names(s.namedParameters())).toEqual(['0.weight', '0.bias'])
    expect([s.length, s.get(-1) === s.get(1)]).toEqual([2, true])
    s.set(1, new nn.Tanh())
    s.append(new nn.Linear(2, 1))
    expect([...s].map((m) => m.constructor.name)).toEqual(['Linear', 'Tanh', 'Linear'])
    expect(s.forward(torch.zeros([4, 2])).shape).toEqual([4, 1])
    expect(() => s.get(3)).toThrow('index 3 is out of range')
    const named = new nn.Sequential({ hidden: new nn.Linear(2, 2), act: new nn.ReLU() })
    expect(names(named.namedParameters())).toEqual(['hidden.weight', 'hidden.bias'])
    expect(named.forward(torch.zeros([4, 2])).shape).toEqual([4, 2])
    expect(new nn.Sequential().forward(tensor(3)).item()).toBe(3)
    expect(() => new nn.Sequential(5 as never)).toThrow('number is not a Module subclass')
    const shared = new nn.Linear(2, 2)
    const twice = new nn.Sequential(shared, shared)
    expect([twice.length, twice.parameters().length]).toEqual([2, 2])
  })

  test('ModuleList, ModuleDict, ParameterList', () => {
    class Many extends nn.Module {
      readonly list = new nn.ModuleList([new nn.Linear(1, 1), new nn.Linear(1, 1)])
      readonly dict = new nn.ModuleDict({ relu: new nn.ReLU(), out: new nn.Linear(1, 1, { bias: false }) })
      readonly free = new nn.ParameterList([new nn.Parameter(tensor([1])), new nn.Parameter(tensor([2]))])
      readonly unseen = [new nn.Linear(1, 1)]
      forward(x: Tensor): Tensor {
        let y = x
        for (const layer of this.list) y = layer.call(y)
        return this.dict.get('out').call(this.dict.get('relu').call(y)).mul(this.free.get(-1))
      }
    }
    const m = new Many()
    expect(names(m.namedParameters())).toEqual([
      'list.0.weight',
      'list.0.bias',
      'list.1.weight',
      'list.1.bias',
      'dict.out.weight',
      'free.0',
      'free.1',
    ])
    expect(m.forward(tensor([[1]])).shape).toEqual([1, 1])
    expect(m.dict.keys()).toEqual(['relu', 'out'])
    m.dict.set('relu', new nn.Tanh())
    expect(m.dict.get('relu')).toBeInstanceOf(nn.Tanh)
    expect(() => m.dict.get('none')).toThrow("no module 'none'")
    expect(() => m.dict.set('train', new nn.Tanh())).toThrow("attribute 'train' already exists")
    expect(() => m.list.forward()).toThrow('Module [ModuleList] is missing the required "forward" function')
    expect([...m.free].map((p) => p.item())).toEqual([1, 2])
    expect(m.free.length).toBe(2)
  })
})

describe('utils', () => {
  const withGrads = (): torch.nn.Parameter[] =>
    [[3, 4], [12]].map((g) => {
      const p = new nn.Parameter(torch.zeros(g.length))
      p.grad = tensor(g)
      return p
    })
  const grads = (ps: torch.nn.Parameter[]): unknown => ps.map((p) => p.grad!.tolist())

  test('clipGradNorm_', () => {
    const ps = withGrads()
    expect(nn.utils.clipGradNorm_(ps, 20).item()).toBe(13)
    expect(grads(ps)).toEqual([[3, 4], [12]])
    expect(nn.utils.clipGradNorm_(ps, 6.5).item()).toBe(13)
    ;(grads(ps) as number[][]).flat().forEach((v, i) => expect(v).toBeCloseTo([1.5, 2, 6][i]!, 5))
    expect(nn.utils.clipGradNorm_(withGrads(), 1, { normType: Number.POSITIVE_INFINITY }).item()).toBe(12)
    expect(nn.utils.clipGradNorm_(withGrads(), 1, { normType: 1 }).item()).toBe(19)
    expect(nn.utils.clipGradNorm_(withGrads()[0]!, 1).item()).toBe(5)
    expect(nn.utils.clipGradNorm_([new nn.Parameter(tensor([1]))], 1).item()).toBe(0)
    const bad = withGrads()
    bad[0]!.grad!.fill_(Number.POSITIVE_INFINITY)
    expect(() => nn.utils.clipGradNorm_(bad, 1, { errorIfNonfinite: true })).toThrow(
      'The total norm of order 2 for gradients from `parameters` is non-finite, so it cannot be clipped.',
    )
    expect(nn.utils.clipGradNorm_(bad, 1).item()).toBe(Number.POSITIVE_INFINITY)
  })

  test('getTotalNorm and clipGradsWithNorm_: clipGradNorm_ in two steps', () => {
    const [ps, same] = [withGrads(), withGrads()]
    const gradsOf = ps.map((p) => p.grad!)
    expect(nn.utils.getTotalNorm(gradsOf).item()).toBe(13)
    expect(nn.utils.getTotalNorm(gradsOf, { normType: Number.POSITIVE_INFINITY }).item()).toBe(12)
    expect(nn.utils.getTotalNorm([]).item()).toBe(0)
    expect(() => nn.utils.getTotalNorm(gradsOf, { normType: 0 })).toThrow('getTotalNorm: normType must be positive, got 0')
    expect(() => nn.utils.getTotalNorm(tensor([Number.NaN]), { errorIfNonfinite: true })).toThrow('is non-finite')
    nn.utils.clipGradsWithNorm_(ps, 20, 13)
    expect(grads(ps)).toEqual([[3, 4], [12]])
    nn.utils.clipGradsWithNorm_(ps, 6.5, nn.utils.getTotalNorm(gradsOf))
    nn.utils.clipGradNorm_(same, 6.5)
    expect(grads(ps)).toEqual(grads(same))
  })

  test('clipGradValue_', () => {
    const ps = withGrads()
    nn.utils.clipGradValue_(ps, 3.5)
    expect(grads(ps)).toEqual([[3, 3.5], [3.5]])
  })

  test('one vector of all parameters', () => {
    const ps = [
      new nn.Parameter(
        tensor([
          [1, 2],
          [3, 4],
        ]),
      ),
      new nn.Parameter(tensor([5])),
    ]
    const v = nn.utils.parametersToVector(ps)
    expect(v.tolist()).toEqual([1, 2, 3, 4, 5])
    v.mul(v).sum().backward()
    expect(ps[0]!.grad!.tolist()).toEqual([
      [2, 4],
      [6, 8],
    ])
    nn.utils.vectorToParameters(tensor([9, 8, 7, 6, 5.5]), ps)
    expect(ps.map((p) => p.tolist())).toEqual([
      [
        [9, 8],
        [7, 6],
      ],
      [5.5],
    ])
    expect(() => nn.utils.vectorToParameters(tensor([1]), ps)).toThrow('expected a vector of 5 elements')
  })
})

test('a model learns', () => {
  torch.manualSeed(0)
  const model = new nn.Sequential(new nn.Linear(2, 16), new nn.Tanh(), new nn.Linear(16, 2))
  const x = torch.randn([200, 2])
  const y = x.select(1, 0).mul(x.select(1, 1)).gt(0).to('int32')
  const loader = new torch.data.DataLoader(new torch.data.TensorDataset(x, y), { batchSize: 20, shuffle: true, seed: 1 })
  const optimizer = new torch.optim.AdamW(model.parameters(), { lr: 0.03 })
  const lossOf = new nn.CrossEntropyLoss()
  for (let epoch = 0; epoch < 20; epoch++) {
    for (const [inputs, labels] of loader) {
      optimizer.zeroGrad()
      lossOf.call(model.call(inputs), labels).backward()
      nn.utils.clipGradNorm_(model.parameters(), 5)
      optimizer.step()
    }
  }
  const right = torch.noGrad(() => model.forward(x).argmax(1).eq(y).to('float32').mean().item())
  expect(right).toBeGreaterThan(0.95)
})
