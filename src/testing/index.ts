/** `gradtape/testing`: checks for functions and operations of your own. */
export { type Checked, gradcheck, GradcheckError, type GradcheckOptions, gradgradcheck } from './gradcheck.ts'
