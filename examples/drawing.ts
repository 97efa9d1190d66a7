/** Draws the graph of the first example, with what its nodes saved and the gradients that came back, to out/graph.svg. */
import { mkdir, writeFile } from 'node:fs/promises'
import { layout as arrange, Graph as DagreGraph } from '@dagrejs/dagre'
import * as torch from '../src/index.ts'
import { type Graph, type GraphValue, graphOf, type Layout, toDot, toSvg, watchGradients } from '../src/viz/index.ts'
import { heading, table } from './terminal.ts'

/** Places boxes with dagre, in layers from top to bottom. */
export const layoutWithDagre: Layout = (boxes, lines) => {
  const g = new DagreGraph({ multigraph: true })
  g.setGraph({ rankdir: 'TB', nodesep: 24, ranksep: 36 })
  g.setDefaultEdgeLabel(() => ({}))
  for (const { id, width, height } of boxes) g.setNode(id, { width, height })
  lines.forEach(({ from, to }, i) => g.setEdge(from, to, {}, String(i)))
  arrange(g)
  const { width = 0, height = 0 } = g.graph()
  return {
    width,
    height,
    boxes: new Map(boxes.map(({ id }) => [id, g.node(id)])),
    lines: lines.map(({ from, to }, i) => g.edge(from, to, String(i)).points),
  }
}

/** The graph of f = x² + 20 at x = 10, after a backward pass. */
export function firstGraph(): Graph {
  const x = torch.tensor(10, { requiresGrad: true, dtype: torch.float64 })
  const f = x.pow(2).add(20)
  const watch = watchGradients(f)
  f.backward({ retainGraph: true })
  watch.remove()
  return graphOf(f, { labels: { x, f }, gradients: watch.gradients })
}

/** Prints the graph and writes the picture, and the same for Graphviz. */
export async function draw(folder: string): Promise<void> {
  heading('The graph of example 1: nodes, edges, saved values, gradients')
  const graph = firstGraph()
  const name = new Map(graph.nodes.map((node) => [node.id, node.label === undefined ? node.name : `${node.label} (${node.name})`]))
  const numbers = (value: GraphValue | undefined): string => value?.values?.join(', ') ?? ''
  console.log(
    table([
      ['node', 'dtype', 'shape', 'saved', 'gradient'],
      ...graph.nodes.map((node) => [
        name.get(node.id)!,
        node.dtype,
        `[${node.shape.join(', ')}]`,
        node.saved.map((s) => `${s.name} = ${numbers(s)}`).join('; '),
        numbers(node.grad),
      ]),
    ]),
  )
  for (const { from, to, input } of graph.edges) console.log(`${name.get(from)} → input ${input} of ${name.get(to)}`)
  await mkdir(folder, { recursive: true })
  await writeFile(`${folder}/graph.svg`, toSvg(graph, layoutWithDagre))
  await writeFile(`${folder}/graph.dot`, toDot(graph))
  console.log(`picture: ${folder}/graph.svg (and graph.dot for Graphviz)`)
}
