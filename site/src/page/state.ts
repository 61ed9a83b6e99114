// What the page is doing, as one immutable state. session.ts changes it, components show it.

import { NibbleError } from '../library/nibble'
import type { Fault, Output } from '../library/nibble'
import type { Exported, Figures, Inspection, Report, TensorRow, Verification } from '../library/nibble'
import { schemeKey, untouched, type Chosen, type Switch } from './recipe'

export interface State {
  phase: 'empty' | 'opening' | 'ready' | 'converting' | 'done'
  model: Inspection | null
  /** Parts that were chosen of a file that holds several models; empty is the core's own choice. */
  parts: readonly string[]
  /** The model is one file of several, and nobody has said yet that it is meant. */
  asking: boolean
  /** The plan, and after converting the report. */
  report: Report | null
  /** The controls say something else than report: a new plan is under way, or was refused. */
  stale: boolean
  /** The core does not take what the controls say, or its plan cannot be converted. */
  refused: boolean
  chosen: Chosen
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
  result: { name: string; url: string | null; files: Output[]; python: string } | null
  exported: Exported | null
  verification: Verification | Progress | null
  error: Problem | null
}

/** What went wrong, or was cancelled. */
export type Problem = Fault

export type Edited = Pick<Chosen, 'edits' | 'types'>

export interface Progress {
  done: number
  total: number
  seconds: number
}

export const empty: State = {
  phase: 'empty',
  model: null,
  parts: [],
  asking: false,
  report: null,
  stale: false,
  refused: false,
  chosen: untouched,
  past: [],
  figures: new Map(),
  before: new Map(),
  unedited: null,
  progress: null,
  result: null,
  exported: null,
  verification: null,
  error: null,
}

/** What an error is to the page. */
export const problemOf = (err: unknown): Problem =>
  err instanceof NibbleError
    ? { ...err.fault, kind: err.kind, message: err.message }
    : { kind: 'internal', message: err instanceof Error ? err.message : String(err) }

/** The problem of a plan that can be shown and not converted; none where it can. */
export const conflictOf = (r: Report): Problem | null =>
  r.problem ? { kind: 'unsupported', code: r.problem_code, args: r.problem_args, message: r.problem } : null

/** The result's name without its ending, as reports are called. */
export function reportName({ result, model }: State): string {
  const name = result?.name ?? ''
  const ending = ['.zip', ...(model?.choices.containers ?? []).map(c => c.extension)].find(e => name.endsWith(e)) ?? ''
  return `${name.slice(0, name.length - ending.length)}-report`
}

/** Whether a switch is on: as it was set, or as a config has it. */
export const isOn = (s: State, name: Switch) => s.chosen.options[name] ?? s.report?.options[name] ?? false

/** Whether it is on because a config says so: then it cannot be switched off beside it. */
export const isOnByConfig = (s: State, name: Switch) =>
  s.chosen.options[name] === undefined && (s.report?.options[name] ?? false)

export function isProgress(v: State['verification']): v is Progress {
  return v !== null && 'total' in v
}

/** The figures with those of more rows. */
export function withFigures({ figures }: State, rows: TensorRow[]): State['figures'] {
  return new Map([...figures, ...rows.filter(t => t.rmse !== null).map(t => [schemeKey(t), t] as const)])
}

/** What rows cost before their first edit, those of more rows added. */
export function withBefore({ before, figures }: State, rows: TensorRow[]): State['before'] {
  const out = new Map(before)
  for (const t of rows) {
    const f = figures.get(schemeKey(t))
    if (f && !out.has(t.name)) out.set(t.name, f)
  }
  return out
}
