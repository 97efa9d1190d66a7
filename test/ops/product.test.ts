/** Products of matrices: derivatives under all transforms, layouts, graphs, errors; einsum against its definition. */
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { checkDerivatives, close, random } from './derivatives.ts'

describe('derivatives of products', () => {
  const shapes: [number[], number[]][] = [
    [
      [2, 3],
      [3, 2],
    ],
    [[3], [3]],
    [[2, 3], [3]],
    [[3], [3, 2]],
    [
      [2, 2, 3],
      [3, 2],
    ],
    [
      [2, 3],
      [2, 3, 2],
    ],
    [
      [2, 2, 3],
      [2, 3, 1],
    ],
    [
      [2, 1, 2, 3],
      [2, 3, 1],
    ],
    [[2, 2, 3], [3]],
    [[3], [2, 3, 2]],
    [
      [1, 2, 3],
      [2, 3, 2],
    ],
  ]
  for (const [a, b] of shapes) {
    test(`matmul [${a}] [${b}]`, () => checkDerivatives((x, y) => x.matmul(y), a, b))
  }
  test('matmul of transposed operands', () => {
    checkDerivatives((x, y) => x.t().matmul(y.t()), [3, 2], [2, 3])
    checkDerivatives((x, y) => x.transpose(-1, -2).matmul(y), [2, 3, 2], [2, 3, 2])
  })
  test('mm, bmm, mv, dot, outer', () => {
    checkDerivatives((x, y) => x.mm(y), [2, 3], [3, 2])
    checkDerivatives((x, y) => x.bmm(y), [2, 2, 3], [2, 3, 2])
    checkDerivatives((x, y) => x.mv(y), [2, 3], [3])
    checkDerivatives((x, y) => x.dot(y), [3], [3])
    checkDerivatives((x, y) => x.outer(y), [2], [3])
  })
  test('addmm', () => {
    checkDerivatives((c, x, y) => c.addmm(x, y), [2, 2], [2, 3], [3, 2])
    checkDerivatives((c, x, y) => c.addmm(x, y, { alpha: 2, beta: -0.5 }), [2], [2, 3], [3, 2])
    checkDerivatives((c, x, y) => c.addmm(x, y, { beta: 3 }), [2, 1], [2, 3], [3, 2])
  })
  test('linear', () => {
    checkDerivatives((x, w, b) => torch.linear(x, w, b), [2, 3], [4, 3], [4])
    checkDerivatives((x, w, b) => torch.linear(x, w, b), [2, 2, 3], [4, 3], [4])
    checkDerivatives((x, w, b) => torch.linear(x, w, b), [3], [4, 3], [4])
    checkDerivatives((x, w) => torch.linear(x, w), [2, 3], [4, 3])
    checkDerivatives((x, w) => torch.linear(x, w), [2, 3], [3])
  })
})

describe('products', () => {
  test('any strides, broadcast batches and foreign memory give the same', () => {
    const a = random(2, 3, 4, 5)
    const b = random(2, 3, 5, 4)
    const y = a.matmul(b)
    const turned = (t: torch.Tensor): torch.Tensor => t.permute([3, 1, 0, 2]).contiguous().permute([2, 1, 3, 0])
    close(turned(a).matmul(turned(b)), y)
    close(a.matmul(b.slice(0, 0, 1)).select(0, 1), a.select(0, 1).matmul(b.select(0, 0)))
    close(a.narrow(2, 1, 2).matmul(b), y.narrow(2, 1, 2))
    const foreign = random(3, 4)
    foreign.numpy()
    close(foreign.matmul(random(4, 2).mul(0).add(1)), foreign.sum(1).unsqueeze(1).expand([3, 2]))
    const bias = random(2)
    bias.numpy()
    close(torch.linear(foreign, random(2, 4).mul(0), bias), bias.expand([3, 2]))
  })

  test('a bias of any layout is added to every row', () => {
    const x = random(5, 3)
    const w = random(4, 3)
    const plain = torch.linear(x, w)
    const bias = random(8)
    close(torch.linear(x, w, bias.slice(0, 0, 8, 2)), plain.add(bias.slice(0, 0, 8, 2)))
    close(torch.linear(x, w, bias.narrow(0, 3, 4)), plain.add(bias.narrow(0, 3, 4)))
    close(torch.linear(x, w, bias.narrow(0, 3, 1)), plain.add(bias.narrow(0, 3, 1)))
    close(bias.narrow(0, 0, 5).unsqueeze(1).addmm(x, w.t()), plain.add(bias.narrow(0, 0, 5).unsqueeze(1)))
    close(random(4, 1).mul(0).add(2).addmm(random(4, 3).mul(0), random(3, 4)), random(4, 4).mul(0).add(2))
  })

  test('sums over nothing are zero, and the bias', () => {
    close(random(2, 0).matmul(random(0, 3)), torch.zeros([2, 3], { dtype: 'float64' }))
    const bias = random(3)
    close(torch.linear(random(2, 0), random(3, 0), bias), bias.expand([2, 3]))
    expect(random(0).dot(random(0)).item()).toBe(0)
  })

  test('the graph is the one torch builds', () => {
    const x = random(2, 2, 3).requiresGrad_()
    const w = random(3, 4).requiresGrad_()
    const y = x.matmul(w)
    expect(y.gradFn!.name()).toBe('UnsafeViewBackward0')
    const mm = y.gradFn!.nextFunctions[0]![0]!
    expect(mm.name()).toBe('MmBackward0')
    expect(mm.nextFunctions[0]![0]!.name()).toBe('ViewBackward0')
    expect(y._base).toBeNull()
    expect(x.bmm(random(2, 3, 2)).gradFn!.name()).toBe('BmmBackward0')
  })

  test('only what a gradient needs is saved', () => {
    const x = random(2, 3).requiresGrad_()
    const w = random(3, 2)
    const y = x.matmul(w)
    w.mul_(2)
    expect(() => y.sum().backward()).toThrow(/modified by an inplace operation/)
    const z = x.matmul(w)
    const free = random(3, 2).requiresGrad_()
    const left = random(2, 3)
    const u = left.matmul(free)
    torch.noGrad(() => free.mul_(2))
    u.sum().backward()
    z.sum().backward()
    expect(free.grad!.shape).toEqual([3, 2])
  })

  test('errors begin with what torch says and name the shapes', () => {
    const m = (a: number[], b: number[]) => () => random(...a).matmul(random(...b))
    expect(m([2, 3], [2, 3])).toThrow(/^mat1 and mat2 shapes cannot be multiplied \(2x3 and 2x3\).*\[2, 3\]/)
    expect(m([], [3])).toThrow(/^both arguments to matmul need to be at least 1D, but they are 0D and 1D/)
    expect(m([3], [4])).toThrow(/^inconsistent tensor size, expected tensor \[3\] and src \[4\]/)
    expect(m([2, 2, 3], [3, 3, 2])).toThrow(/must match the size of tensor b \(3\) at non-singleton dimension 0/)
    expect(() => random(2, 3).mm(torch.ones([3, 2]))).toThrow(/^expected m1 and m2 to have the same dtype.*float64 != float32/)
    expect(() => random(2, 3).mv(random(2))).toThrow(/^size mismatch, got input \(2\), mat \(2x3\), vec \(2\)/)
    expect(() => torch.linear(random(2, 3), random(2, 4))).toThrow(/^mat1 and mat2 shapes cannot be multiplied \(2x3 and 4x2\)/)
    expect(() => torch.linear(random(2, 3), random(4, 3), random(3))).toThrow(torch.ShapeError)
    expect(() => random(3).addmm(random(2, 3), random(3, 4))).toThrow(
      /^The expanded size of the tensor \(4\) must match the existing size \(3\)/,
    )
    expect(() => torch.tensor([[true]]).matmul(torch.tensor([[true]]))).toThrow(torch.DTypeError)
    const ints = torch.tensor([[1, 2]], { dtype: 'int32' })
    expect(() => ints.addmm(ints.t(), ints, { alpha: 0.5 })).toThrow(torch.AutogradError)
  })
})

/** The sum an equation means, element by element. */
function defined(terms: readonly string[], output: string, inputs: readonly torch.Tensor[]): torch.Tensor {
  const letters = [...new Set([...output, ...terms.join('')])]
  const size = (l: string): number => {
    for (const [i, t] of terms.entries()) if (t.includes(l)) return inputs[i]!.shape[t.indexOf(l)]!
    return 1
  }
  const shape = [...output].map(size)
  const out = new Float64Array(shape.reduce((a, b) => a * b, 1))
  const sizes = letters.map(size)
  const total = sizes.reduce((a, b) => a * b, 1)
  const values = inputs.map((x) => x.toTypedArray())
  for (let k = 0; k < total; k++) {
    let left = k
    const at = new Map<string, number>()
    for (let d = letters.length - 1; d >= 0; d--) {
      at.set(letters[d]!, left % sizes[d]!)
      left = Math.floor(left / sizes[d]!)
    }
    const index = (labels: string, s: readonly number[]): number => [...labels].reduce((n, l, d) => n * s[d]! + at.get(l)!, 0)
    out[index(output, shape)]! += terms.reduce((p, t, i) => p * values[i]![index(t, inputs[i]!.shape)]!, 1)
  }
  return torch.tensor(out, { dtype: 'float64' }).reshape(shape)
}

describe('einsum', () => {
  const sizes: Readonly<Record<string, number>> = { i: 2, j: 3, k: 4, l: 2, B: 3 }
  const equations = [
    'ij,jk->ik',
    'ij,jk->ki',
    'ijk->ikj',
    'iij->j',
    'ii->',
    'Bij,Bjk->Bik',
    'Bij,Bkj->kBi',
    'i,j,k->kji',
    'ij,j,i->',
    'ijk,k->ji',
    'ij,ij->',
    'ij,ij->ij',
    'ijk,jil->kl',
    'i,->i',
    ',->',
    'ijj,jk->k',
    'ij,kl->ijkl',
    'ij,jk,kl->il',
    'ik,jk,lk->ijl',
    'i->',
    'B,i,Bi->B',
  ]
  for (const equation of equations) {
    test(equation, () => {
      const [left, output] = equation.split('->') as [string, string]
      const terms = left.split(',')
      const shapes = terms.map((t) => [...t].map((l) => sizes[l]!))
      const inputs = shapes.map((s) => random(...s))
      close(torch.einsum(equation, ...inputs), defined(terms, output, inputs))
    })
  }

  for (const [equation, ...shapes] of [
    ['ij,jk->ki', [2, 3], [3, 2]],
    ['iij->j', [2, 2, 3]],
    ['Bij,Bkj->kBi', [2, 1, 3], [2, 2, 3]],
    ['ij,ij->', [2, 3], [2, 3]],
    ['ijj,i->j', [2, 2, 2], [2]],
  ] as [string, ...number[][]][]) {
    test(`derivatives of ${equation}`, () => checkDerivatives((...x) => torch.einsum(equation, ...x), ...shapes))
  }

  test('implicit outputs are in alphabetical order, capitals first', () => {
    const x = random(2, 3, 4)
    close(torch.einsum('bcA', x), x.permute([2, 0, 1]))
    close(torch.einsum('ba,ca', random(2, 3).mul(0), random(4, 3)), torch.zeros([2, 4], { dtype: 'float64' }))
  })

  test('ellipses broadcast, sum when left out, and may be empty', () => {
    const a = random(5, 1, 2, 3)
    const b = random(4, 3, 2)
    close(torch.einsum('...ij,...jk->...ik', a, b), a.matmul(b))
    close(torch.einsum('...ij,...jk', a, b), a.matmul(b))
    close(torch.einsum('...i->i', a), a.sum([0, 1, 2]))
    close(torch.einsum('i...->...', a), a.sum(0))
    close(torch.einsum('...ij->...ji', random(2, 3).mul(0)), torch.zeros([3, 2], { dtype: 'float64' }))
    checkDerivatives((x, y) => torch.einsum('...i,ij->j...', x, y), [2, 2, 3], [3, 2])
  })

  test('errors', () => {
    const x = random(2, 3)
    const e =
      (equation: string, ...ts: torch.Tensor[]) =>
      () =>
        torch.einsum(equation, ...ts)
    expect(e('ij,jk->ik', x, x)).toThrow(
      /^einsum\(\): subscript j has size 2 for operand 1 which does not broadcast with previously seen size 3/,
    )
    expect(e('ij->ik', x)).toThrow(/^einsum\(\): output subscript k does not appear in the equation for any input operand/)
    expect(e('ij->ii', x)).toThrow(/^einsum\(\): output subscript i appears more than once in the output/)
    expect(e('i', x)).toThrow(/^einsum\(\): the number of subscripts in the equation \(1\) does not match the number of dimensions \(2\)/)
    expect(e('ijk...', x)).toThrow(
      /^einsum\(\): the number of subscripts in the equation \(3\) is more than the number of dimensions \(2\)/,
    )
    expect(e('ij,jk', x)).toThrow(/^einsum\(\): fewer operands were provided than specified/)
    expect(e('ij', x, x)).toThrow(/^einsum\(\): more operands were provided than specified/)
    expect(e('ii', x)).toThrow(/^einsum\(\): subscript i is repeated for operand 0 but the sizes don't match, 3 != 2/)
    expect(e('i1', x)).toThrow(/^einsum\(\): invalid subscript given for operand 0: '1'/)
    expect(e('i.j', x)).toThrow(/^einsum\(\): found '.' for operand 0 that is not part of any ellipsis/)
    expect(e('ij')).toThrow(/^einsum\(\): must provide at least one operand/)
  })
})
