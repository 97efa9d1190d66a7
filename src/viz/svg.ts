/** Graphs as SVG pictures; where the boxes go is decided by a layout function of the caller's. */
import type { Graph, GraphNode } from './graph.ts'
import { describe, mark } from './text.ts'

/** A box that needs a place; sizes are in pixels. */
export interface Box {
  readonly id: string
  readonly width: number
  readonly height: number
}

/** An arrow between two boxes. Several may join the same two. */
export interface Line {
  readonly from: string
  readonly to: string
}

/** A place in the picture, in pixels from the upper left corner. */
export interface Point {
  readonly x: number
  readonly y: number
}

/** What a layout decides: centres of boxes by id, and the course of each line, in the order given. */
export interface Placed {
  readonly width: number
  readonly height: number
  readonly boxes: ReadonlyMap<string, Point>
  readonly lines: readonly (readonly Point[])[]
}

/** Places boxes and lines: dagre, ELK, or a function of your own. */
export type Layout = (boxes: readonly Box[], lines: readonly Line[]) => Placed

const FONT = 12
/** Width of a character in the usual monospaced fonts, in ems. */
const ADVANCE = 0.602
const LEADING = 16
const PADDING = 10
const MARGIN = 12

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)
}

function boxOf(node: GraphNode): Box & { readonly text: readonly string[]; readonly kind: GraphNode['kind'] } {
  const text = describe(node)
  const longest = Math.max(...text.map((line) => [...line].length))
  return {
    id: node.id,
    text,
    kind: node.kind,
    width: Math.ceil(longest * FONT * ADVANCE) + 2 * PADDING,
    height: text.length * LEADING + PADDING,
  }
}

/** A smooth curve through the middles between the points, that starts and ends at the first and the last. */
function course(points: readonly Point[]): string {
  const at = ({ x, y }: Point): string => `${x.toFixed(1)} ${y.toFixed(1)}`
  const last = points.length - 1
  let path = `M ${at(points[0]!)}`
  for (let i = 1; i < last; i++) {
    const [p, q] = [points[i]!, points[i + 1]!]
    path += ` Q ${at(p)} ${at(i + 1 === last ? q : { x: (p.x + q.x) / 2, y: (p.y + q.y) / 2 })}`
  }
  return last === 1 ? `${path} L ${at(points[1]!)}` : path
}

/**
 * The graph as an SVG document. Values flow along the arrows, gradients against them.
 * @example
 * const x = tensor(3, { requiresGrad: true })
 * const inARow: Layout = (boxes, lines) => ({
 *   width: 200 * boxes.length,
 *   height: 100,
 *   boxes: new Map(boxes.map(({ id }, i) => [id, { x: 200 * i + 100, y: 50 }])),
 *   lines: lines.map(() => [{ x: 100, y: 50 }, { x: 300, y: 50 }]),
 * })
 * toSvg(graphOf(x.pow(2)), inARow).startsWith('<svg') // true
 */
export function toSvg(graph: Graph, layout: Layout): string {
  const boxes = graph.nodes.map(boxOf)
  const placed = layout(
    boxes.map(({ id, width, height }) => ({ id, width, height })),
    graph.edges.map(({ from, to }) => ({ from, to })),
  )
  const lines = graph.edges.flatMap(({ output }, i) => {
    const points = placed.lines[i] ?? []
    if (points.length < 2) return []
    const middle = points[Math.floor(points.length / 2)]!
    const label = output === 0 ? [] : [`<text x="${middle.x.toFixed(1)}" y="${middle.y.toFixed(1)}">${escape(mark(output))}</text>`]
    return [`<path class="edge" d="${course(points)}" marker-end="url(#arrow)"/>`, ...label]
  })
  const shapes = boxes.map(({ id, width, height, text, kind }) => {
    const { x, y } = placed.boxes.get(id) ?? { x: 0, y: 0 }
    const [left, top] = [x - width / 2, y - height / 2]
    const rows = text.map((row, i) => {
      const style = i === 0 ? ' class="title"' : row.startsWith('grad') ? ' class="grad"' : ''
      return `<text x="${(left + PADDING).toFixed(1)}" y="${(top + PADDING / 2 + LEADING * (i + 0.75)).toFixed(1)}"${style}>${escape(row)}</text>`
    })
    const rect = `<rect class="${kind}" x="${left.toFixed(1)}" y="${top.toFixed(1)}" width="${width}" height="${height}" rx="${kind === 'leaf' ? 10 : 3}"/>`
    return [`<g id="${escape(id)}">`, rect, ...rows, '</g>'].join('')
  })
  const [width, height] = [Math.ceil(placed.width) + 2 * MARGIN, Math.ceil(placed.height) + 2 * MARGIN]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="${-MARGIN} ${-MARGIN} ${width} ${height}" font-family="monospace" font-size="${FONT}">`,
    '<style>rect{stroke:#6b7280}.leaf{fill:#dbeafe}.operation{fill:#f9fafb}.edge{fill:none;stroke:#374151}.title{font-weight:bold}.grad{fill:#b91c1c}</style>',
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#374151"/></marker></defs>',
    `<rect x="${-MARGIN}" y="${-MARGIN}" width="${width}" height="${height}" style="fill:#fff;stroke:none"/>`,
    ...lines,
    ...shapes,
    '</svg>',
    '',
  ].join('\n')
}
