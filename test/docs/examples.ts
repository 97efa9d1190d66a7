/** Runs the examples of doc comments: `expression // what it prints`, with the names of the package's entries in scope. */
import { inspect } from 'node:util'
import ts from 'typescript'
import * as blas from '../../src/blas/index.ts'
import * as torch from '../../src/index.ts'
import * as profiler from '../../src/profiler/index.ts'
import * as testing from '../../src/testing/index.ts'
import * as viz from '../../src/viz/index.ts'

/** What an example says of one of its statements, and what came. */
export interface Claim {
  readonly code: string
  readonly expected: string
  readonly got: string
}

const scope: Readonly<Record<string, unknown>> = { ...torch, ...profiler, ...testing, ...viz, ...blas, torch }

/** As the console prints it, on one line. */
function print(value: unknown): string {
  const text =
    value instanceof torch.Tensor ? String(value) : typeof value === 'string' ? value : inspect(value, { depth: 9, breakLength: Infinity })
  return text.replaceAll(/\s+/g, ' ')
}

const squeeze = (text: string): string => text.replaceAll(/\s/g, '')

/** The statements of an example, each with the comment behind it on its line. */
function statements(code: string): { node: ts.Statement; text: string; comment: string | null }[] {
  const source = ts.createSourceFile('example.ts', code, ts.ScriptTarget.Latest, true)
  return source.statements.map((node) => {
    const behind = ts.getTrailingCommentRanges(code, node.end)?.[0]
    const comment = behind === undefined ? null : code.slice(behind.pos + 2, behind.end).trim()
    return { node, text: node.getText(source), comment }
  })
}

const AsyncFunction = (async () => {}).constructor as FunctionConstructor

type Running = (see: (index: number, value: unknown) => void, console: object, ...values: unknown[]) => Promise<void>

/** Runs an example; every comment behind an expression is a claim. Comments behind other statements are refused: nothing would check them. */
export async function run(code: string): Promise<Claim[]> {
  const list = statements(code)
  const seen = new Map<number, string>()
  const printed: unknown[] = []
  const source = list.map(({ node, text, comment }, i) => {
    if (!ts.isExpressionStatement(node)) {
      if (comment !== null) throw new Error(`a comment that nothing checks stands behind \`${text}\``)
      return text
    }
    const expression = node.expression.getText()
    return comment === null ? `;${text}` : `;$see(${i}, ${expression})`
  })
  const { outputText } = ts.transpileModule(`{\n${source.join('\n')}\n}`, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  })
  // `var` is no name for a parameter.
  const names = Object.keys(scope).filter((name) => name !== 'var')
  const make = new AsyncFunction('$see', 'console', ...names, outputText) as Running
  const handler = torch.setWarningHandler(() => {})
  await make(
    (i, value) => {
      seen.set(i, value === undefined && printed.length > 0 ? printed.map(print).join(' ') : print(value))
      printed.length = 0
    },
    { log: (...values: unknown[]) => void printed.push(...values) },
    ...names.map((name) => scope[name]),
  ).finally(() => torch.setWarningHandler(handler))
  return list.flatMap(({ text, comment }, i) => (seen.has(i) ? [{ code: text, expected: comment!, got: seen.get(i)! }] : []))
}

/** Does it say what came? Strings may be quoted. */
export const agrees = ({ expected, got }: Claim): boolean => [got, `'${got}'`].some((text) => squeeze(expected) === squeeze(text))
