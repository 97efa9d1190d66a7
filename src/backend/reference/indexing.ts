/** Moves between arrays and indexed places of others: gather, scatter, and whole rows by index. */
import type { DType } from '../../dtype.ts'
import type { IndexKernel, IndexOp, LinearMemory } from '../backend.ts'
import { bytesOf, viewOf, wordsOf } from './views.ts'

/** Rows of this many bytes are copied as blocks; for shorter ones the call costs more than the loop. */
const BLOCK_BYTES = 64

/** out[o,j,i] = src[o, index[o,j,i], i] */
function gather(memory: LinearMemory, dtype: DType): IndexKernel {
  const bytes = bytesOf(dtype)
  return (outer, n, inner, m, big, index, small) => {
    const view = wordsOf(memory, bytes)
    const places = memory.i32
    let place = index / 4
    let to = small / bytes
    for (let o = 0; o < outer; o++) {
      const from = big / bytes + o * n * inner
      for (let j = 0; j < m; j++) {
        for (let i = 0; i < inner; i++) view[to++] = view[from + places[place++]! * inner + i]!
      }
    }
  }
}

/** dst[o, index[o,j,i], i] = src[o,j,i]; the last of several wins. */
function scatter(memory: LinearMemory, dtype: DType): IndexKernel {
  const bytes = bytesOf(dtype)
  return (outer, n, inner, m, big, index, small) => {
    const view = wordsOf(memory, bytes)
    const places = memory.i32
    let place = index / 4
    let from = small / bytes
    for (let o = 0; o < outer; o++) {
      const to = big / bytes + o * n * inner
      for (let j = 0; j < m; j++) {
        for (let i = 0; i < inner; i++) view[to + places[place++]! * inner + i] = view[from++]!
      }
    }
  }
}

/** dst[o, index[o,j,i], i] += src[o,j,i]; a sum of bools is their disjunction. */
function scatterAdd(memory: LinearMemory, dtype: DType): IndexKernel {
  const bytes = bytesOf(dtype)
  const either = dtype === 'bool'
  return (outer, n, inner, m, big, index, small) => {
    const view = viewOf(memory, dtype)
    const places = memory.i32
    let place = index / 4
    let from = small / bytes
    for (let o = 0; o < outer; o++) {
      const to = big / bytes + o * n * inner
      for (let j = 0; j < m; j++) {
        for (let i = 0; i < inner; i++) {
          const p = to + places[place++]! * inner + i
          const v = view[from++]!
          view[p] = either ? view[p]! | v : view[p]! + v
        }
      }
    }
  }
}

/** out[o,j,·] = src[o, index[j], ·], or dst[o, index[j], ·] = src[o,j,·]: whole rows, moved without reading them. */
function moveRows(memory: LinearMemory, dtype: DType, select: boolean): IndexKernel {
  const bytes = bytesOf(dtype)
  return (outer, n, inner, m, big, index, small) => {
    const places = memory.i32
    const rowBytes = inner * bytes
    if (rowBytes >= BLOCK_BYTES) {
      const octets = memory.u8
      for (let o = 0; o < outer; o++) {
        for (let j = 0; j < m; j++) {
          const there = big + (o * n + places[index / 4 + j]!) * rowBytes
          const here = small + (o * m + j) * rowBytes
          if (select) octets.copyWithin(here, there, there + rowBytes)
          else octets.copyWithin(there, here, here + rowBytes)
        }
      }
      return
    }
    const view = wordsOf(memory, bytes)
    for (let o = 0; o < outer; o++) {
      for (let j = 0; j < m; j++) {
        const there = big / bytes + (o * n + places[index / 4 + j]!) * inner
        const here = small / bytes + (o * m + j) * inner
        if (select) for (let i = 0; i < inner; i++) view[here + i] = view[there + i]!
        else for (let i = 0; i < inner; i++) view[there + i] = view[here + i]!
      }
    }
  }
}

/** dst[o, index[j], i] += src[o,j,i]; a sum of bools is their disjunction. */
function indexAdd(memory: LinearMemory, dtype: DType): IndexKernel {
  const bytes = bytesOf(dtype)
  const either = dtype === 'bool'
  return (outer, n, inner, m, big, index, small) => {
    const view = viewOf(memory, dtype)
    const places = memory.i32
    for (let o = 0; o < outer; o++) {
      for (let j = 0; j < m; j++) {
        const to = big / bytes + (o * n + places[index / 4 + j]!) * inner
        const from = small / bytes + (o * m + j) * inner
        if (either) for (let i = 0; i < inner; i++) view[to + i]! |= view[from + i]!
        else for (let i = 0; i < inner; i++) view[to + i]! += view[from + i]!
      }
    }
  }
}

export function indexKernel(memory: LinearMemory, op: IndexOp, dtype: DType): IndexKernel {
  switch (op) {
    case 'gather':
      return gather(memory, dtype)
    case 'scatter':
      return scatter(memory, dtype)
    case 'scatterAdd':
      return scatterAdd(memory, dtype)
    case 'indexSelect':
      return moveRows(memory, dtype, true)
    case 'indexCopy':
      return moveRows(memory, dtype, false)
    case 'indexAdd':
      return indexAdd(memory, dtype)
  }
}
