// What the page is doing, as one immutable state. session.ts changes it, components show it.

import type { Exported, Failure, Figures, Input, Inspection, Report, Verification } from './protocol'
import { defaults, type Options } from './recipe'

export interface State {
  phase: 'empty' | 'opening' | 'ready' | 'converting' | 'done'
  model: Inspection | null
  /** The plan, and after converting the report. */
  report: Report | null
  /** The controls say something else than report: a new plan is under way, or was refused. */
  stale: boolean
  /** The core does not take what the controls say, or its plan cannot be converted. */
  refused: boolean
  options: Options
  /** What was edited before, for undo; the last one last. */
  past: readonly Edited[]
  /** Errors measured so far, by schemeKey: those of past conversions and of edited rows. */
  figures: ReadonlyMap<string, Figures>
  /** Errors of edited rows before their first edit, by name. */
  before: ReadonlyMap<string, Figures>
  /** Bytes of the output without edits. */
  unedited: number | null
  progress: Progress | null
  /** url is for results that are to be downloaded; others are where the user wanted them. */
  result: { name: string, url: string | null, files: Input[], python: string } | null
  exported: Exported | null
  verification: Verification | Progress | null
  error: { kind: Failure['kind'] | 'cancelled', message: string } | null
}

export type Edited = Pick<Options, 'edits' | 'types'>

export interface Progress { done: number, total: number, seconds: number }

export const empty: State = {
  phase: 'empty', model: null, report: null, stale: false, refused: false, options: defaults,
  past: [], figures: new Map(), before: new Map(), unedited: null,
  progress: null, result: null, exported: null, verification: null, error: null,
}

/** The result's name without its extension, as reports are called. */
export const reportName = (result: string) => result.replace(/\.(zip|pt|safetensors)$/, '') + '-report'

export function isProgress(v: State['verification']): v is Progress { return v !== null && 'total' in v }
