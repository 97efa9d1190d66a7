/** Graphs as text: DOT for Graphviz, and Mermaid for Markdown; and the lines that stand in a node's box. */
import { show } from '../errors.ts'
import type { Graph, GraphNode, GraphValue } from './graph.ts'

/** Six significant digits, which is what fits into a box. */
function number(x: number): string {
  return Number.isInteger(x) ? String(x) : String(Number(x.toPrecision(6)))
}

function line({ name, shape, dtype, values }: GraphValue): string {
  if (values === null) return `${name}: ${dtype} ${show(shape)}`
  return `${name} = ${shape.length === 0 ? number(values[0]!) : `[${values.map(number).join(', ')}]`}`
}

/** The lines of a node's box: the name, then what is known of it. */
export function describe(node: GraphNode): string[] {
  const title = node.kind === 'leaf' ? (node.label ?? 'leaf') : node.label === undefined ? node.name : `${node.label}: ${node.name}`
  return [
    title,
    `${node.dtype} ${show(node.shape)}`,
    ...(node.value === undefined ? [] : [line(node.value)]),
    ...node.saved.map((value) => `saved ${line(value)}`),
    ...(node.grad === undefined ? [] : [line(node.grad)]),
  ]
}

/** The mark of an edge, where a node has several outputs. */
export function mark(output: number): string {
  return output === 0 ? '' : `output ${output}`
}

/**
 * The graph in Graphviz's language. Values flow downwards.
 * @example
 * const x = tensor(3, { requiresGrad: true })
 * toDot(graphOf(x.pow(2))).startsWith('digraph') // true
 * @see https://graphviz.org/doc/info/lang.html
 */
export function toDot(graph: Graph): string {
  const quote = (text: string): string => `"${text.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n')}"`
  const box = (node: GraphNode): string => {
    const style =
      node.kind === 'leaf' ? 'shape=box style="rounded,filled" fillcolor="#dbeafe"' : 'shape=box style=filled fillcolor="#f3f4f6"'
    return `  ${node.id} [label=${quote(describe(node).join('\n'))} ${style}]`
  }
  const arrows = graph.edges.map(({ from, to, output }) => `  ${from} -> ${to}${output === 0 ? '' : ` [label=${quote(mark(output))}]`}`)
  return ['digraph {', '  node [fontname="monospace" fontsize=10]', ...graph.nodes.map(box), ...arrows, '}', ''].join('\n')
}

/**
 * The graph as a Mermaid flowchart, which GitHub draws in Markdown.
 * @example
 * const x = tensor(10, { requiresGrad: true })
 * toMermaid(graphOf(x.pow(2))).split('\n')[0] // flowchart TD
 * @see https://mermaid.js.org/syntax/flowchart.html
 */
export function toMermaid(graph: Graph): string {
  const quote = (lines: readonly string[]): string =>
    `"${lines.map((l) => l.replace(/[#"<>&]/g, (c) => `#${c.charCodeAt(0)};`)).join('<br/>')}"`
  const box = (node: GraphNode): string =>
    node.kind === 'leaf' ? `  ${node.id}([${quote(describe(node))}])` : `  ${node.id}[${quote(describe(node))}]`
  const arrows = graph.edges.map(({ from, to, output }) => `  ${from} -->${output === 0 ? '' : `|${quote([mark(output)])}|`} ${to}`)
  return ['flowchart TD', ...graph.nodes.map(box), ...arrows, ''].join('\n')
}
