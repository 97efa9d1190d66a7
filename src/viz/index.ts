/** `gradtape/viz`: the graph behind a tensor as data, as text for Graphviz and Mermaid, and as a picture. */
export {
  type Gradients,
  type Graph,
  type GraphEdge,
  type GraphNode,
  type GraphOptions,
  type GraphValue,
  graphOf,
  type Watch,
  watchGradients,
} from './graph.ts'
export { type Box, type Layout, type Line, type Placed, type Point, toSvg } from './svg.ts'
export { toDot, toMermaid } from './text.ts'
