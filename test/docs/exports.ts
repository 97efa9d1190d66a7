/** What the entries of the package export, with the comments that stand on the declarations, read from the sources' syntax. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root: string = fileURLToPath(new URL('../../', import.meta.url))

/** The entries: the main one, and those whose exports it doesn't have. */
const entries = ['', 'blas', 'profiler', 'testing', 'viz'] as const

/** One declaration that users can reach. */
export interface Exported {
  /** As users name it: `nn.functional.relu`. */
  readonly name: string
  /** The entry it is first found in. */
  readonly entry: (typeof entries)[number]
  /** The name it is declared under, and where. */
  readonly declared: string
  readonly file: string
  readonly line: number
  /** Only a type: nothing of it is there at run time. */
  readonly isType: boolean
  /** The comment without its stars, up to the first tag. */
  readonly summary: string
  /** The code of each `@example`. */
  readonly examples: readonly string[]
}

interface Declared {
  readonly node: ts.Node
  readonly name: string
  readonly isType: boolean
  readonly source: ts.SourceFile
}

type Target = Declared | { readonly module: string }

const parsed = new Map<string, ts.SourceFile>()

function parse(file: string): ts.SourceFile {
  const known = parsed.get(file)
  if (known !== undefined) return known
  const source = ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.Latest, true)
  parsed.set(file, source)
  return source
}

const moduleOf = (from: ts.SourceFile, specifier: ts.Expression): string =>
  join(dirname(from.fileName), (specifier as ts.StringLiteral).text)

const exportedHere = (node: ts.Node): boolean =>
  ts.canHaveModifiers(node) && (ts.getModifiers(node)?.some((m) => m.kind === ts.SyntaxKind.ExportKeyword) ?? false)

/** What the statements of a file declare at its top, first declarations first. */
function declarations(source: ts.SourceFile): Map<string, Declared> {
  const found = new Map<string, Declared>()
  const add = (name: ts.Node | undefined, node: ts.Node, isType: boolean): void => {
    const text = name?.getText(source)
    // A type and a value of one name: the value is what runs, and the comment stands on the first.
    const before = text === undefined ? undefined : found.get(text)
    if (text !== undefined) found.set(text, { node: before?.node ?? node, name: text, isType: isType && (before?.isType ?? true), source })
  }
  for (const node of source.statements) {
    if (ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node)) add(node.name, node, false)
    else if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) add(node.name, node, true)
    else if (ts.isVariableStatement(node)) for (const d of node.declarationList.declarations) add(d.name, node, false)
  }
  return found
}

/** What a file exports, by name. */
function exportsOf(file: string): Map<string, Target> {
  const source = parse(file)
  const own = declarations(source)
  const found = new Map<string, Target>()
  for (const [name, d] of own)
    if (exportedHere(d.node) || source.statements.some((s) => exportedHere(s) && d.node === s)) found.set(name, d)
  for (const node of source.statements) {
    if (!ts.isExportDeclaration(node)) continue
    const from = node.moduleSpecifier === undefined ? null : moduleOf(source, node.moduleSpecifier)
    if (node.exportClause === undefined) for (const [name, t] of exportsOf(from!)) found.set(name, t)
    else if (ts.isNamespaceExport(node.exportClause)) found.set(node.exportClause.name.text, { module: from! })
    else {
      for (const e of node.exportClause.elements) {
        const local = (e.propertyName ?? e.name).text
        const target = from === null ? resolveLocal(source, local, own) : exportsOf(from).get(local)!
        found.set(e.name.text, (e.isTypeOnly || node.isTypeOnly) && 'node' in target ? { ...target, isType: true } : target)
      }
    }
  }
  return found
}

/** A local name: declared here or imported. */
function resolveLocal(source: ts.SourceFile, name: string, own: Map<string, Declared>): Target {
  const here = own.get(name)
  if (here !== undefined) return here
  for (const node of source.statements) {
    if (!ts.isImportDeclaration(node) || node.importClause?.namedBindings === undefined) continue
    const from = moduleOf(source, node.moduleSpecifier)
    const bindings = node.importClause.namedBindings
    if (ts.isNamespaceImport(bindings)) {
      if (bindings.name.text === name) return { module: from }
      continue
    }
    for (const e of bindings.elements) if (e.name.text === name) return exportsOf(from).get((e.propertyName ?? e.name).text)!
  }
  throw new Error(`${source.fileName}: ${name} is exported but not declared`)
}

function documented({ node, source }: Declared): Pick<Exported, 'summary' | 'examples'> {
  const comments = (ts.getLeadingCommentRanges(source.text, node.pos) ?? []).map((r) => source.text.slice(r.pos, r.end))
  const doc = comments.filter((c) => c.startsWith('/**')).at(-1) ?? ''
  const text = doc
    .replace(/^\/\*\*/, '')
    .replace(/\s*\*\/$/, '')
    .replaceAll(/^\s*\* ?/gm, '')
  const [summary, ...tags] = text.split(/(?:^|\s)@(?=(?:example|see|param|returns|throws|deprecated)\b)/)
  const examples = tags.filter((t) => t.startsWith('example')).map((t) => t.slice('example'.length).trim())
  return { summary: summary!.trim(), examples }
}

/** Each declaration once, under the first name by which it is reached. */
export function exported(): Exported[] {
  const found = new Map<ts.Node, Exported>()
  const visited = new Set<string>()
  const visit = (file: string, prefix: string, entry: Exported['entry']): void => {
    if (visited.has(file)) return
    visited.add(file)
    for (const [name, target] of exportsOf(file)) {
      if ('module' in target) {
        visit(target.module, `${prefix}${name}.`, entry)
        continue
      }
      if (found.has(target.node)) continue
      const { source, node } = target
      found.set(node, {
        name: prefix + name,
        entry,
        declared: target.name,
        file: source.fileName,
        line: source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1,
        isType: target.isType,
        ...documented(target),
      })
    }
  }
  for (const entry of entries) visit(entry === '' ? 'src/index.ts' : `src/${entry}/index.ts`, '', entry)
  return [...found.values()]
}
