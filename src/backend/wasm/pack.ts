/** Packing lines of matrices into panels that the register tiles of a product read from end to end. */
import type { FloatType } from '../backend.ts'
import { type Func, I32, type Local, type ModuleBuilder, order, V128 } from './assembler.ts'
import { Emitter } from './emitter.ts'

/**
 * Packs `count` lines of length k into panels of `size` lines, element by element along k: dst[panel][k][line]. Lines past
 * the end are zero. Strides in bytes; a unit stride along either axis is vectorised.
 */
export function pack(module: ModuleBuilder, dtype: FloatType, size: number): Func {
  return module.func([I32, I32, I32, I32, I32, I32], [], (f, src, lineStep, kStep, count, k, dst) => {
    const e = new Emitter(f, dtype, false)
    const { width, lanes } = e
    const [left, p, r, n] = f.locals(I32, 4) as [Local, Local, Local, Local]
    const lines = [p, ...f.locals(I32, size - 1)]
    const v = f.locals(V128, 6)
    const row = size * width

    /** Copies the lines of one k, which lie side by side. */
    const copy = (to: Local, from: number): void => {
      let at = 0
      for (; at + 16 <= row; at += 16) f.v128.store(f.get(to), f.v128.load(f.get(p), from + at), at)
      if (at < row) f.i64.store(f.get(to), f.i64.load(f.get(p), from + at), at)
    }
    /** Transposes a square of `lanes` lines, loaded from `from` on, and stores one vector per k. */
    const transpose = (from: number): void => {
      for (let i = 0; i < lanes; i++) f.set(v[i]!, f.v128.load(f.get(lines[from + i]!)))
      const put = (kk: number, a: Local, b: Local, half: number): void => {
        const units = half === 0 ? [0, 2] : [1, 3]
        f.v128.store(f.get(dst), f.i8x16.shuffle(f.get(a), f.get(b), ...order(8, ...units)), kk * row + from * width)
      }
      if (lanes === 2) {
        put(0, v[0]!, v[1]!, 0)
        put(1, v[0]!, v[1]!, 1)
        return
      }
      const zip = (to: Local, a: Local, b: Local, ...units: number[]): void => {
        f.set(to, f.i8x16.shuffle(f.get(a), f.get(b), ...order(4, ...units)))
      }
      zip(v[4]!, v[0]!, v[1]!, 0, 4, 1, 5)
      zip(v[5]!, v[0]!, v[1]!, 2, 6, 3, 7)
      zip(v[0]!, v[2]!, v[3]!, 0, 4, 1, 5)
      zip(v[1]!, v[2]!, v[3]!, 2, 6, 3, 7)
      put(0, v[4]!, v[0]!, 0)
      put(1, v[4]!, v[0]!, 1)
      put(2, v[5]!, v[1]!, 0)
      put(3, v[5]!, v[1]!, 1)
    }
    /** The last two lines of a panel of six float32 lines. */
    const transposePair = (from: number): void => {
      f.set(v[0]!, f.v128.load(f.get(lines[from]!)))
      f.set(v[1]!, f.v128.load(f.get(lines[from + 1]!)))
      for (const half of [0, 1]) {
        const units = half === 0 ? [0, 4, 1, 5] : [2, 6, 3, 7]
        f.set(v[2]!, f.i8x16.shuffle(f.get(v[0]!), f.get(v[1]!), ...order(4, ...units)))
        for (const lane of [0, 1]) f.v128.store64_lane(f.get(dst), f.get(v[2]!), (half * 2 + lane) * row + from * width, lane)
      }
    }
    /** One k, any strides, `left` lines that exist. */
    const gather = (): void => {
      f.set(r, f.get(p))
      for (let i = 0; i < size; i++) {
        f.if(f.i32.gt_u(f.get(left), f.i32.const(i)),
          () => {
            e.store(f.get(dst), e.load(f.get(r)), i * width)
            e.bump(r, lineStep)
          },
          () => e.store(f.get(dst), e.double ? f.f64.const(0) : f.f32.const(0), i * width))
      }
    }
    const overK = (step: number, pointers: readonly Local[], advance: Local | number, body: () => void): void => {
      f.while(() => f.i32.ge_u(f.get(n), f.i32.const(step)), () => {
        body()
        for (const q of pointers) e.bump(q, advance)
        e.bump(dst, row * step)
        e.bump(n, -step)
      })
    }

    f.set(left, f.get(count))
    // Four panels at once, so that whole cache lines are read even where rows lie a multiple of 4096 bytes apart.
    const group = 4
    const targets = lines.slice(1, group)
    f.if(f.i32.eq(f.get(lineStep), f.i32.const(width)), () => {
      f.while(() => f.i32.ge_s(f.get(left), f.i32.const(group * size)), () => {
        f.set(p, f.get(src))
        f.set(n, f.get(k))
        targets.forEach((to, i) => f.set(to, f.i32.add(f.get(i === 0 ? dst : targets[i - 1]!), f.i32.mul(f.get(k), f.i32.const(row)))))
        f.while(() => f.get(n), () => {
          ;[dst, ...targets].forEach((to, i) => {
            copy(to, i * row)
            e.bump(to, row)
          })
          e.bump(p, kStep)
          e.bump(n, -1)
        })
        f.set(dst, f.get(targets[group - 2]!))
        e.bump(src, group * row)
        e.bump(left, -group * size)
      })
    })
    f.while(() => f.i32.gt_s(f.get(left), f.i32.const(0)), () => {
      f.set(p, f.get(src))
      f.set(n, f.get(k))
      f.if(f.i32.ge_s(f.get(left), f.i32.const(size)), () => {
        f.if(f.i32.eq(f.get(lineStep), f.i32.const(width)),
          () => overK(1, [p], kStep, () => copy(dst, 0)),
          () => f.if(f.i32.eq(f.get(kStep), f.i32.const(width)), () => {
            for (let i = 1; i < size; i++) f.set(lines[i]!, f.i32.add(f.get(lines[i - 1]!), f.get(lineStep)))
            overK(lanes, lines, 16, () => {
              let from = 0
              for (; from + lanes <= size; from += lanes) transpose(from)
              if (from < size) transposePair(from)
            })
          }))
      })
      overK(1, [p], kStep, gather)
      f.set(src, f.i32.add(f.get(src), f.i32.mul(f.get(lineStep), f.i32.const(size))))
      e.bump(left, -size)
    })
  })
}
