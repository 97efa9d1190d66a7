/** Derivatives of every operation: against finite differences, forward against reverse, recorded against fused, masked. */
import { check } from './check.ts'
import { finiteDifferences, forwardMode, masks, recordedPass, secondDerivatives } from './laws.ts'

check({ finiteDifferences, secondDerivatives, forwardMode, recordedPass, masks })
