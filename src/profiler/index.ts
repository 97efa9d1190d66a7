/** `gradtape/profiler`: where a program's time and memory go. */
export {
  type AverageOptions,
  type EventAverage,
  type EventKind,
  Profile,
  type ProfileEvent,
  type ProfileOptions,
  profile,
  type RecordFunction,
  recordFunction,
  type SortKey,
  type TableOptions,
} from './profile.ts'
