/** Pictures of a training run: the curve of the loss as SVG, and a sheet of misread digits as PNG. */
import { PNG } from 'pngjs'

/** Means of `size` neighbours each. */
function smooth(values: readonly number[], size: number): number[] {
  const means: number[] = []
  for (let i = 0; i + size <= values.length; i += size) {
    let sum = 0
    for (let k = i; k < i + size; k++) sum += values[k]!
    means.push(sum / size)
  }
  return means
}

/** The loss over the steps on a logarithmic scale: each step thin, means over `window` steps thick. */
export function lossCurve(losses: readonly number[], stepsPerEpoch: number, window = 20): string {
  const [width, height, left, top, bottom] = [720, 360, 56, 16, 36]
  const low = Math.floor(Math.log10(Math.max(Math.min(...losses), 1e-4)))
  const high = Math.max(Math.ceil(Math.log10(Math.max(...losses))), low + 1)
  const x = (step: number): number => left + ((width - left - 16) * step) / Math.max(losses.length, 1)
  const y = (loss: number): number => top + ((height - top - bottom) * (high - Math.log10(Math.max(loss, 10 ** low)))) / (high - low)
  const path = (points: readonly (readonly [number, number])[]): string =>
    `M${points.map(([s, l]) => `${x(s).toFixed(1)} ${y(l).toFixed(1)}`).join('L')}`
  const marks = Array.from({ length: high - low + 1 }, (_, i) => {
    const value = 10 ** (low + i)
    const at = y(value).toFixed(1)
    return `<path class="grid" d="M${left} ${at}H${width - 16}"/><text x="${left - 8}" y="${Number(at) + 4}" text-anchor="end">${Number(value.toPrecision(1))}</text>`
  })
  const epochs = Array.from({ length: Math.floor(losses.length / stepsPerEpoch) }, (_, i) => {
    const at = x((i + 1) * stepsPerEpoch).toFixed(1)
    return `<path class="grid" d="M${at} ${top}V${height - bottom}"/><text x="${at}" y="${height - bottom + 16}" text-anchor="middle">${i + 1}</text>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    '<style>.grid{stroke:#e5e7eb;fill:none}.each{stroke:#93c5fd;fill:none;stroke-width:.7}.mean{stroke:#1d4ed8;fill:none;stroke-width:2}</style>',
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...marks,
    ...epochs,
    `<path class="each" d="${path(losses.map((l, i) => [i, l]))}"/>`,
    ...(losses.length >= window ? [`<path class="mean" d="${path(smooth(losses, window).map((l, i) => [(i + 0.5) * window, l]))}"/>`] : []),
    `<text x="${(left + width) / 2}" y="${height - 4}" text-anchor="middle">epoch</text>`,
    `<text x="${width - 24}" y="${top + 14}" text-anchor="end">cross-entropy: each step, and means of ${window}</text>`,
    '</svg>',
    '',
  ].join('\n')
}

/** Digits as 3 × 5 dots, a row in each 3 bits. */
const GLYPHS: Readonly<Record<string, readonly number[]>> = {
  '0': [7, 5, 5, 5, 7],
  '1': [2, 6, 2, 2, 7],
  '2': [7, 1, 7, 4, 7],
  '3': [7, 1, 7, 1, 7],
  '4': [5, 5, 7, 1, 1],
  '5': [7, 4, 7, 1, 7],
  '6': [7, 4, 7, 5, 7],
  '7': [7, 1, 2, 2, 2],
  '8': [7, 5, 7, 5, 7],
  '9': [7, 5, 7, 1, 7],
  '>': [4, 2, 1, 2, 4],
}

/** A digit the network got wrong. */
export interface Misread {
  /** 28 × 28 bytes. */
  readonly image: Uint8Array
  readonly label: number
  readonly read: number
}

type Colour = readonly [number, number, number]

/** A sheet of misread digits, at most `rows` × `columns`, each with `label > read` above it, as a PNG file. */
export function misreadSheet(digits: readonly Misread[], columns = 12, rows = 6): Buffer {
  const [zoom, dot, gap, caption] = [2, 2, 8, 14]
  const cell = { width: 28 * zoom + gap, height: 28 * zoom + caption + gap }
  const shown = digits.slice(0, columns * rows)
  const lines = Math.max(1, Math.ceil(shown.length / columns))
  const png = new PNG({ width: columns * cell.width + gap, height: lines * cell.height + gap, colorType: 2 })
  png.data.fill(0xff)
  const fill = (x: number, y: number, size: number, [r, g, b]: Colour): void => {
    for (let row = y; row < y + size; row++)
      for (let column = x; column < x + size; column++) png.data.set([r, g, b, 255], 4 * (row * png.width + column))
  }
  const write = (text: string, x: number, y: number, colours: readonly Colour[]): void => {
    ;[...text].forEach((character, i) => {
      GLYPHS[character]?.forEach((bits, row) => {
        for (let column = 0; column < 3; column++)
          if (bits & (4 >> column)) fill(x + (4 * i + column) * dot, y + row * dot, dot, colours[i]!)
      })
    })
  }
  shown.forEach(({ image, label, read }, k) => {
    const x = gap + (k % columns) * cell.width
    const y = gap + Math.floor(k / columns) * cell.height
    write(`${label}>${read}`, x + 14, y, [
      [21, 128, 61],
      [156, 163, 175],
      [185, 28, 28],
    ])
    for (let p = 0; p < 784; p++) {
      const ink = 255 - image[p]!
      fill(x + (p % 28) * zoom, y + caption + Math.floor(p / 28) * zoom, zoom, [ink, ink, ink])
    }
  })
  return PNG.sync.write(png, { colorType: 2 })
}
