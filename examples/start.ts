/** `npm start`: four small examples with their results, a graph as a picture, what the library claims, and a trained classifier. */
import { showClaims } from './claims.ts'
import { draw } from './drawing.ts'
import { trainOnDigits } from './mnist/train.ts'
import { showSeed } from './seed.ts'

const folder = 'out'
await showSeed()
await draw(folder)
showClaims()
await trainOnDigits(folder)
