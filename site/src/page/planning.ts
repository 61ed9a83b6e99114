// What a user can do until there is a plan: open files, choose, edit rows. Each changes the state, which components
// only show.

import {
  NibbleError,
  open,
  type ClassName,
  type Figures,
  type Global,
  type Model,
  type Plan,
  type TensorRow,
} from '../library/nibble'
import { keptFor, recipeOf, schemeKey, type Chosen, type Switch } from './recipe'
import { conflictOf, empty, isProgress, problemOf, withBefore, withFigures, type Edited, type State } from './state'
import { Store } from './store'
import type { Input } from '../library/nibble'
import type { Walk } from './walks'

/** Rows are measured before an edit only when that is quick. */
const quickToMeasure = 100e6

export class Planning extends Store {
  private inputs: Input[] = []

  /** Somebody is about to open a file: the core may start. */
  expect() {
    this.engine.wake()
  }

  /** Opens files, which may still be on their way; whatever was under way ends. */
  async open(coming: Input[] | Promise<Input[]>) {
    const { phase } = this.state
    const old =
      phase === 'ready' || phase === 'done' ? { state: this.state, inputs: this.inputs, opened: this.opened } : null
    if (this.busy()) this.engine.stop()
    const walk = this.walks.begin()
    clearTimeout(this.timer)
    this.dropResult()
    this.set({ ...empty, chosen: { ...this.state.chosen, edits: new Map(), types: new Map() }, phase: 'opening' })
    await walk.steps(
      async () => {
        const inputs = await walk.wait(coming)
        const { inspection } = await walk.wait(this.openModel(inputs, []))
        const chosen = keptFor(this.state.chosen, inspection.choices)
        this.set({ model: inspection, chosen, asking: inspection.missing.length > 0 })
      },
      err =>
        old && err instanceof NibbleError && err.kind !== 'internal'
          ? this.goBack(old, err, walk)
          : this.fail(err, 'empty'),
    )
    if (walk.goesOn && this.state.phase === 'opening') await this.begin(walk)
  }

  /** Plans what was opened, unless the user has to be asked before: one file of several, or several models in one. */
  private async begin(walk: Walk) {
    const { model, asking } = this.state
    if (asking || model?.tensors === 0) this.set({ phase: 'ready', report: null, stale: false })
    else await this.plan(walk)
  }

  /** The one file of several is meant. */
  goOn() {
    this.set({ asking: false })
    void this.begin(this.walks.begin())
  }

  /** Takes other parts of a file that holds several models. */
  async take(parts: string[]) {
    if (this.state.phase === 'converting') return
    const walk = this.settle({ ...this.state.chosen, edits: new Map(), types: new Map() })
    this.set({ parts, past: [], figures: new Map(), before: new Map(), error: null })
    await walk.steps(
      async () => {
        const { inspection } = await walk.wait(this.openModel(this.inputs, parts))
        this.set({ model: inspection })
        await this.begin(walk)
      },
      err => this.fail(err, 'ready', { refused: true }),
    )
  }

  /** What was opened is no model: the one before it is open again, edits and all, and the error is said. */
  private goBack(old: { state: State; inputs: Input[]; opened: Promise<Model> }, err: NibbleError, walk: Walk) {
    this.inputs = old.inputs
    this.opened = old.opened
    const nothing = { progress: null, result: null, exported: null, verification: null }
    this.set({ ...old.state, ...nothing, phase: 'ready', stale: true, refused: false, error: problemOf(err) })
    return walk.steps(
      async () => {
        await walk.wait((await old.opened).reopen())
        if (!old.state.report) return
        const { report } = await walk.wait(this.decide())
        this.set({ report, stale: false, refused: report.problem !== '' })
      },
      err => this.fail(err, 'empty'),
    )
  }

  private busy() {
    const { phase, verification } = this.state
    return phase === 'opening' || phase === 'converting' || isProgress(verification)
  }

  /** Opens the files, or parts of them, in the worker. */
  private openModel(inputs: Input[], parts: readonly string[]): Promise<Model> {
    this.inputs = inputs
    this.opened = open(inputs, { engine: this.engine, parts })
    this.opened.catch(() => undefined)
    return this.opened
  }

  /** Changes the recipe or the container. The result of the old one goes; a plan follows. */
  choose(change: Partial<Chosen>) {
    if (this.state.phase === 'converting') return
    const chosen = { ...this.state.chosen, ...change }
    if (!this.state.model || Object.keys(change).every(k => k === 'hash' || k === 'workers')) {
      this.set({ chosen })
      return
    }
    const walk = this.settle(chosen)
    this.timer = setTimeout(() => void this.plan(walk), 120)
  }

  /** Turns a switch of the options on, or off. */
  switchOn(name: Switch, on = true) {
    this.choose({ options: { ...this.state.chosen.options, [name]: on } })
  }

  /** Takes choices that call for a new plan; the result of the old ones goes. */
  private settle(chosen: Chosen): Walk {
    if (isProgress(this.state.verification)) this.restart()
    clearTimeout(this.timer)
    this.dropResult()
    this.set({
      chosen,
      stale: true,
      refused: false,
      exported: null,
      phase: this.state.phase === 'opening' ? 'opening' : 'ready',
    })
    return this.walks.begin()
  }

  /** Gives modules an entry by hand, null to keep them, undefined to follow the recipe again. */
  edit(modules: string[], entry: Global | null | undefined) {
    const edits = new Map(this.state.chosen.edits)
    for (const m of modules) {
      edits.delete(m)
      if (entry !== undefined) edits.set(m, entry)
    }
    void this.change({ edits, types: this.state.chosen.types }, t => modules.includes(t.module))
  }

  /** Says which class modules are; undefined leaves it to the core. */
  setType(modules: string[], name: ClassName | undefined) {
    const types = new Map(this.state.chosen.types)
    for (const m of modules) {
      types.delete(m)
      if (name !== undefined) types.set(m, name)
    }
    void this.change({ edits: this.state.chosen.edits, types }, t => modules.includes(t.module))
  }

  undo() {
    const last = this.state.past.at(-1)
    if (!last || this.state.phase === 'converting') return
    this.set({ past: this.state.past.slice(0, -1) })
    this.choose(last)
  }

  /** Puts edits in force at once. What the rows cost before is measured before the next plan, where that is quick. */
  private async change(edited: Edited, which: (t: TensorRow) => boolean) {
    const { report, chosen, past, phase, stale, verification } = this.state
    if (!report || phase === 'converting') return
    const rows = report.tensors.filter(t => which(t) && t.scheme !== null)
    const quick = !stale && !isProgress(verification) && rows.reduce((n, t) => n + t.bytes_in, 0) < quickToMeasure
    const walk = this.settle({ ...chosen, ...edited })
    this.set({ past: [...past, { edits: chosen.edits, types: chosen.types }] })
    await walk.steps(
      async () => {
        if (quick) {
          await this.measure(rows, walk)
          this.set({ before: withBefore(this.state, rows) })
        }
        await this.plan(walk)
      },
      err => this.fail(err, 'ready'),
    )
  }

  /** Fills figures for rows that have none yet; what goes wrong shows when converting. */
  private async measure(rows: TensorRow[], walk: Walk) {
    const names = rows.filter(t => t.scheme && !this.state.figures.has(schemeKey(t))).map(t => t.name)
    if (names.length === 0) return
    const found = await walk.wait(this.figuresOf(names).catch(() => ({}) as Record<string, Figures>))
    this.set({
      figures: withFigures(
        this.state,
        rows.flatMap(t => (found[t.name] ? [{ ...t, ...found[t.name] }] : [])),
      ),
    })
  }

  /** Plans; a recipe that the core refuses leaves the model open and the controls alive. */
  private plan(walk: Walk) {
    return walk.steps(
      async () => {
        const { report } = await walk.wait(this.decide())
        const { edits, types } = this.state.chosen
        const unedited = edits.size === 0 ? report.output.bytes : this.state.unedited
        // That nothing would be quantized is said beside the button, in the page's own words.
        const error = report.problem_code === 'none_quantized' ? null : conflictOf(report)
        this.set({ phase: 'ready', report, unedited, stale: false, refused: report.problem !== '', error })
        await this.measure(
          report.tensors.filter(t => edits.has(t.module) || types.has(t.module)),
          walk,
        )
      },
      err => this.fail(err, 'ready', { stale: true, refused: true }),
    )
  }

  private async figuresOf(names: string[]): Promise<Record<string, Figures>> {
    const model = await this.opened
    return this.planned ? model.measure(this.planned, names) : {}
  }

  /** The plan of what the controls say. */
  protected async decide(): Promise<Plan> {
    const model = await this.opened
    this.engine.workers = this.state.chosen.workers
    return (this.planned = await model.plan(recipeOf(this.state.chosen, model.offers)))
  }
}
