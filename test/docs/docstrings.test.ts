/** Every public declaration says what it is; every public function shows it, in an example that runs and prints what it says. */
import { describe, expect, test } from 'vitest'
import * as blas from '../../src/blas/index.ts'
import * as torch from '../../src/index.ts'
import * as profiler from '../../src/profiler/index.ts'
import * as testing from '../../src/testing/index.ts'
import * as viz from '../../src/viz/index.ts'
import { agrees, run } from './examples.ts'
import { type Exported, exported } from './exports.ts'

const all = exported()
const faces = { '': torch, blas, profiler, testing, viz } as const

/** What the name stands for at run time. */
function valueOf({ entry, name }: Exported): unknown {
  return name.split('.').reduce<unknown>((at, part) => (at as Readonly<Record<string, unknown>>)[part], faces[entry])
}

/** Functions, and objects that are called; not classes. */
function isFunction(e: Exported): boolean {
  return !e.isType && typeof valueOf(e) === 'function' && !/^[A-Z]/.test(e.name.split('.').at(-1)!)
}

const places = (list: readonly Exported[]): string => list.map((e) => `${e.name} (${e.file}:${e.line})`).join('\n')

describe('public declarations', () => {
  test('are found', () => {
    const names = new Set(all.map((e) => e.name))
    for (const name of ['tensor', 'nn.Linear', 'func.vmap', 'gradcheck', 'toDot', 'useBlas', 'linalg.det', 'optim.AdamOptions']) {
      expect(names).toContain(name)
    }
    expect(all.filter((e) => !e.isType && valueOf(e) === undefined).map((e) => e.name)).toEqual([])
  })

  test('say what they are', () => {
    expect(places(all.filter((e) => e.summary === ''))).toBe('')
  })

  test('have an example, if they are functions', () => {
    expect(places(all.filter((e) => isFunction(e) && e.examples.length === 0))).toBe('')
  })
})

// Their examples need what not every machine has.
const ELSEWHERE: ReadonlySet<string> = new Set(['useBlas'])

describe('examples', () => {
  for (const e of all) {
    if (ELSEWHERE.has(e.name)) continue
    e.examples.forEach((code, i) => {
      test(`${e.name}${i === 0 ? '' : ` ${i + 1}`}`, async () => {
        const claims = await run(code)
        expect(claims.length, 'lines that say what comes').toBeGreaterThan(0)
        for (const claim of claims) if (!agrees(claim)) expect.fail(`${claim.code} prints\n${claim.got}\nnot\n${claim.expected}`)
      })
    })
  }
})
