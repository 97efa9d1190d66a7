/** Sums of products in Einstein's notation, by permuting, joining dims and one batched matrix product per pair. */
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { numel } from '../shape.ts'
import { expectTensor } from '../tensor.ts'
import { form, matrices } from './product.ts'

/** A term of an equation: its labels, with ELLIPSIS where `...` stood. */
type Labels = readonly string[]
const ELLIPSIS = '...'

function refuse(message: string, equation: string): ArgumentError {
  return new ArgumentError(`einsum(): ${message}, in the equation '${equation}'`, { op: 'einsum' })
}

function parseTerm(text: string, equation: string, what: string): Labels {
  const labels: string[] = []
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!
    if (c === ' ') continue
    if (c === '.') {
      if (text.slice(i, i + 3) !== ELLIPSIS || labels.includes(ELLIPSIS)) {
        throw refuse(`found '.' for ${what} that is not part of any ellipsis, or a second ellipsis`, equation)
      }
      labels.push(ELLIPSIS)
      i += 2
    } else if (/[a-zA-Z]/.test(c)) labels.push(c)
    else throw refuse(`invalid subscript given for ${what}: '${c}', subscripts must be in [a-zA-Z]`, equation)
  }
  return labels
}

/** The output that an equation without `->` means: the ellipsis, then labels that occur once, in alphabetical order. */
function implicitOutput(terms: readonly Labels[]): Labels {
  const counts = new Map<string, number>()
  for (const l of terms.flat()) counts.set(l, (counts.get(l) ?? 0) + 1)
  const once = [...counts.keys()].filter((l) => l !== ELLIPSIS && counts.get(l) === 1).sort()
  return counts.has(ELLIPSIS) ? [ELLIPSIS, ...once] : once
}

/** Labels with the ellipsis written out as the last `own` of `all` places that broadcast. */
function spell(labels: Labels, own: number, all: number): Labels {
  const places = Array.from({ length: own }, (_, i) => `${ELLIPSIS}${all - own + i}`)
  return labels.flatMap((l) => (l === ELLIPSIS ? places : [l]))
}

/** Repeated labels as diagonals. Returns the tensor and one label per dim. */
function diagonals(x: Tensor, labels: Labels): { x: Tensor; labels: string[] } {
  const kept: string[] = []
  let y = x
  for (const l of labels) {
    const first = kept.indexOf(l)
    // The dim of this label is the one after those kept.
    if (first < 0) kept.push(l)
    else y = y.diagonal({ dim1: first, dim2: kept.length }).movedim(-1, first)
  }
  return { x: y, labels: kept }
}

/** The operand with one dim per label of `order`, of size 1 where it lacks it. */
function arranged(x: Tensor, labels: readonly string[], order: readonly string[]): Tensor {
  let y = x
  for (let k = labels.length; k < order.length; k++) y = y.unsqueeze(-1)
  let missing = labels.length
  return y.permute(
    order.map((l) => {
      const at = labels.indexOf(l)
      return at < 0 ? missing++ : at
    }),
  )
}

/** Σ over `dims` of a·b, which have as many dims; the summed dims stay, with size 1. */
function contract(a: Tensor, b: Tensor, dims: readonly number[]): Tensor {
  const rank = a.layout.rank
  const both: number[] = []
  const left: number[] = []
  const right: number[] = []
  for (let d = 0; d < rank; d++) {
    if (dims.includes(d)) continue
    const [m, n] = [a.shape[d]!, b.shape[d]!]
    if (m !== 1 && n !== 1) both.push(d)
    else if (n !== 1) right.push(d)
    else left.push(d)
  }
  const sizes = (x: Tensor, list: readonly number[]): number[] => list.map((d) => x.shape[d]!)
  const [batch, rows, columns, terms] = [numel(sizes(a, both)), numel(sizes(a, left)), numel(sizes(b, right)), numel(sizes(a, dims))]
  const x = a.permute([...both, ...left, ...dims, ...right]).reshape([batch, rows, terms])
  const y = b.permute([...both, ...dims, ...right, ...left]).reshape([batch, terms, columns])
  const order = [...both, ...left, ...right, ...dims]
  const made = matrices.one([x, y], form(true, false, false))
  const shaped = made.reshape([...sizes(a, both), ...sizes(a, left), ...sizes(b, right), ...dims.map(() => 1)])
  return order.every((d, i) => d === i) ? shaped : shaped.permute(order.map((_, d) => order.indexOf(d)))
}

/** Each label's size over all operands (1 broadcasts), with the checks. */
function sizesOf(operands: readonly { x: Tensor; labels: Labels }[], equation: string): Map<string, number> {
  const sizes = new Map<string, number>()
  operands.forEach(({ x, labels }, i) => {
    labels.forEach((l, d) => {
      const n = x.shape[d]!
      const seen = sizes.get(l) ?? 1
      if (n !== 1 && seen !== 1 && n !== seen) {
        throw new ShapeError(
          `einsum(): subscript ${l} has size ${n} for operand ${i} which does not broadcast with previously seen size ${seen}, in the equation '${equation}' with shapes ${operands.map((o) => show(o.x.shape)).join(' and ')}`,
          { op: 'einsum', shapes: operands.map((o) => o.x.shape) },
        )
      }
      if (n !== 1 || !sizes.has(l)) sizes.set(l, n)
    })
  })
  return sizes
}

/** The labels of each operand and of the output, every ellipsis written out. */
function parse(equation: string, tensors: readonly Tensor[]): { terms: Labels[]; output: Labels } {
  const arrow = equation.indexOf('->')
  const given = (arrow < 0 ? equation : equation.slice(0, arrow)).split(',').map((t, i) => parseTerm(t, equation, `operand ${i}`))
  if (given.length !== tensors.length)
    throw refuse(`${tensors.length < given.length ? 'fewer' : 'more'} operands were provided than specified in the equation`, equation)
  const own = given.map((labels, i) => {
    const rank = tensors[i]!.layout.rank
    const open = labels.includes(ELLIPSIS)
    const named = labels.length - (open ? 1 : 0)
    if (open ? named > rank : named !== rank) {
      throw refuse(
        `the number of subscripts in the equation (${named}) ${open ? 'is more than' : 'does not match'} the number of dimensions (${rank}) for operand ${i}${open ? '' : ' and no ellipsis was given'}`,
        equation,
      )
    }
    return open ? rank - named : 0
  })
  const all = Math.max(0, ...own)
  const wanted = arrow < 0 ? implicitOutput(given) : parseTerm(equation.slice(arrow + 2), equation, 'the output')
  const known = new Set(given.flat())
  wanted.forEach((l, i) => {
    if (l !== ELLIPSIS && wanted.indexOf(l) !== i) throw refuse(`output subscript ${l} appears more than once in the output`, equation)
    if (l !== ELLIPSIS && !known.has(l))
      throw refuse(`output subscript ${l} does not appear in the equation for any input operand`, equation)
  })
  return { terms: given.map((labels, i) => spell(labels, own[i]!, all)), output: spell(wanted, all, all) }
}

/**
 * Sums of products of the operands' elements as an equation says: a letter per dim, operands separated by commas. Letters
 * missing after `->` are summed; without `->` the output has the letters that occur once, in alphabetical order. `...`
 * stands for dims that broadcast; a letter twice in one operand takes its diagonal. Operands are multiplied left to right.
 * Errors: ArgumentError for an equation that doesn't parse or doesn't fit the ranks, ShapeError when sizes don't fit.
 * @example
 * einsum('ij,jk->ik', tensor([[1, 2]]), tensor([[3], [4]])).tolist() // [[11]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.einsum.html
 */
export function einsum(equation: string, ...tensors: Tensor[]): Tensor {
  if (typeof equation !== 'string')
    throw new ArgumentError("einsum(): expected an equation such as 'ij,jk->ik' before the operands", { op: 'einsum' })
  if (tensors.length === 0) throw refuse('must provide at least one operand', equation)
  tensors.forEach((x, i) => {
    expectTensor('einsum', x, `operand ${i}`)
  })
  const { terms, output } = parse(equation, tensors)
  terms.forEach((labels, i) => {
    labels.forEach((l, d) => {
      const first = labels.indexOf(l)
      const [m, n] = [tensors[i]!.shape[first]!, tensors[i]!.shape[d]!]
      if (m !== n)
        throw new ShapeError(
          `einsum(): subscript ${l} is repeated for operand ${i} but the sizes don't match, ${n} != ${m}, in the equation '${equation}' with shape ${show(tensors[i]!.shape)}`,
          { op: 'einsum', shapes: [tensors[i]!.shape] },
        )
    })
  })
  const operands = tensors.map((x, i) => diagonals(x, terms[i]!))
  const labels = [...sizesOf(operands, equation).keys()]
  const summed = labels.filter((l) => !output.includes(l))
  const order = [...output, ...summed]
  const last = new Map<string, number>()
  operands.forEach((o, i) => {
    for (const l of o.labels) last.set(l, i)
  })
  const kept = output.length
  const ready = operands.map((o) => arranged(o.x, o.labels, order))
  let y = ready[0]!
  if (ready.length === 1) return summed.length === 0 ? y : y.sum(summed.map((_, i) => kept + i))
  for (let i = 1; i < ready.length; i++) {
    let a = y
    let b = ready[i]!
    const done: number[] = []
    // A label no later operand has can be summed now; before the product, where only one of the two has it.
    const onlyA: number[] = []
    const onlyB: number[] = []
    for (let d = kept; d < order.length; d++) {
      if (last.get(order[d]!)! > i) continue
      if (a.shape[d] !== 1 && b.shape[d] !== 1) done.push(d)
      else if (a.shape[d] !== 1) onlyA.push(d)
      else if (b.shape[d] !== 1) onlyB.push(d)
    }
    if (onlyA.length > 0) a = a.sum({ dim: onlyA, keepdim: true })
    if (onlyB.length > 0) b = b.sum({ dim: onlyB, keepdim: true })
    y = done.length === 0 ? a.mul(b) : contract(a, b, done)
  }
  return summed.length === 0 ? y : y.reshape(y.shape.slice(0, kept))
}
