/**
 * Bad arguments, derived from the recorded calls: each argument of each operation is replaced by things it can't be. Either
 * the call has a meaning, or it throws a typed error that names the operation; and nothing is changed by a call that throws.
 */
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { build, isMethod, methodOf, operations } from '../conformance/samples.ts'
import { type Argument, type Case, isRecorded, loadFixtures } from '../parity/load.ts'
import { fault, never, rarely, state, tensorsOf } from './wrong.ts'

// Warnings about calls that work are no matter here.
torch.setWarningHandler(() => {})

type Made = { readonly args: unknown[]; readonly opts: Record<string, unknown> | undefined }

/** A place in a call where something else can stand. */
interface Place {
  readonly name: string
  readonly original: unknown
  put(made: Made, value: unknown): void
}

function places(c: Case): Place[] {
  const found: Place[] = []
  c.args.forEach((a, i) => {
    if (i > 0 || c.inplace === undefined) {
      found.push({ name: `argument ${i}`, original: a, put: (m, v) => void (m.args[i] = v) })
    }
    if (Array.isArray(a)) {
      a.forEach((b, j) => {
        found.push({ name: `argument ${i}[${j}]`, original: b, put: (m, v) => void ((m.args[i] as unknown[])[j] = v) })
      })
    }
  })
  for (const [k, a] of Object.entries(c.opts ?? {})) found.push({ name: k, original: a, put: (m, v) => void (m.opts![k] = v) })
  return found
}

function make(c: Case): Made {
  const visit = (v: Argument): unknown => (Array.isArray(v) ? v.map(visit) : isRecorded(v) ? build(v) : v)
  return {
    args: c.args.map(visit),
    opts: c.opts === undefined ? undefined : Object.fromEntries(Object.entries(c.opts).map(([k, v]) => [k, visit(v)])),
  }
}

function call(c: Case, { args, opts }: Made): void {
  const all = opts === undefined ? args : [...args, opts]
  // In-place forms are methods, or functions like any other.
  const method = c.inplace === undefined ? undefined : methodOf(all[0] as object, c.op)
  if (method === undefined) operations.get(c.op)!(...all)
  else method.call(all[0], ...all.slice(1))
}

/** What an operation is by definition, and may name in its place. */
const composed: Readonly<Record<string, string>> = { floorDivide: 'div' }

/** What is wrong with the answer to a call with `value` at a place; null: nothing. */
function answer(c: Case, place: Place, value: unknown, mustThrow: boolean): string | null {
  const made = make(c)
  place.put(made, value)
  const tensors = tensorsOf([...made.args, ...Object.values(made.opts ?? {})])
  const before = tensors.map(state)
  try {
    call(c, made)
  } catch (e) {
    const bad = fault(e, (composed[c.op] ?? c.op).replace(/_$/, ''))
    return bad ?? (tensors.every((t, i) => state(t) === before[i]) ? null : `${String(e)}, but an argument was changed`)
  }
  return mustThrow ? 'a result' : null
}

/** Calls that differ in what kinds of arguments they have, by operation. */
function calls(): Map<string, Case[]> {
  const kinds = new Set<string>()
  const found = new Map<string, Case[]>()
  for (const c of loadFixtures()) {
    if (c.error !== undefined || c.via !== undefined || c.after !== undefined) continue
    if (!operations.has(c.op) && !isMethod(c.op.replace(/_$/, ''))) continue
    const kind = c.args.map((a) => (isRecorded(a) ? 'tensor' : Array.isArray(a) ? 'list' : typeof a))
    const key = `${c.op} ${kind} ${Object.keys(c.opts ?? {})}`
    if (kinds.has(key)) continue
    kinds.add(key)
    found.set(c.op, [...(found.get(c.op) ?? []), c])
  }
  return found
}
const recorded = calls()

describe('an argument that an operation has no use for', () => {
  for (const op of recorded.keys()) {
    test(op, () => {
      const wrong: string[] = []
      for (const c of recorded.get(op)!) {
        for (const place of places(c)) {
          const tell = (name: string, value: unknown, mustThrow: boolean): void => {
            const bad = answer(c, place, value, mustThrow)
            if (bad !== null) wrong.push(`${c.torch} with ${name} for ${place.name}: ${bad}`)
          }
          for (const [name, value] of Object.entries(never)) tell(name, value(), typeof place.original !== 'string')
          for (const [name, value] of Object.entries(rarely)) tell(name, value(), false)
        }
      }
      expect(wrong).toEqual([])
    })
  }
})

describe('an option that an operation does not have', () => {
  const withOptions = [...recorded].flatMap(([op, cases]) => cases.filter((c) => c.opts !== undefined).map((c) => [op, c] as const))
  for (const [op, c] of withOptions) {
    test(c.torch, () => {
      const name = Object.keys(c.opts!)[0]!
      const misspelt = (key: string): unknown => {
        const made = make(c)
        try {
          call(c, { args: made.args, opts: { ...made.opts, [key]: 1 } })
        } catch (e) {
          return e
        }
        return undefined
      }
      const plain = op.replace(/_$/, '')
      expect(misspelt('bogus')).toBeInstanceOf(torch.ArgumentError)
      expect(String(misspelt('bogus'))).toMatch(new RegExp(`${plain}.*unknown option 'bogus'; there (is|are) .*${name}`))
      const snake = name.replace(/[A-Z]/g, (l) => `_${l.toLowerCase()}`)
      if (snake !== name) expect(String(misspelt(snake))).toContain(`here it is called ${name}`)
    })
  }
})
