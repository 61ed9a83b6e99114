// What a user can do on the page: each changes the state, which components only show.

import { discard } from '../private/files'
import { CoreError } from '../shared/error'
import type { Input } from '../shared/messages'
import type { ClassName, Figures, Global, Inspection, Report, TensorRow } from '../shared/protocol'
import { clear, type Target } from '../shared/target'
import { text } from '../shared/text'
import { Core } from './core'
import { saveText } from './download'
import { requestOf, schemeKey, type Chosen, type Switch } from './recipe'
import {
  conflictOf,
  empty,
  isProgress,
  problemOf,
  reportName,
  withBefore,
  withFigures,
  type Edited,
  type Progress,
  type State,
} from './state'
import { chooseTarget } from './target'
import { Walks, type Walk } from './walks'

/** Rows are measured before an edit only when that is quick. */
const quickToMeasure = 100e6

/** A smaller model is done by the leading worker before others would be of use. */
const worthPool = 32e6

/** How long a download that was begun may go on reading a result that is gone from the page. */
const keepForDownload = 10_000

export class Session {
  state = empty
  private core = new Core(err => {
    this.walks.end() // whatever waits for an answer waits no more
    this.fail(err, 'empty')
  })
  private inputs: Input[] = []
  /** The worker's answer about inputs; whatever needs the file waits for it. */
  private opened: Promise<Inspection> = Promise.reject(new Error('no file is open'))
  private walks = new Walks()
  /** The newest plan. The state's report may be that of a conversion, which calls its result by another name. */
  private planned: Report | undefined
  /** Where a conversion that is under way writes to. */
  private target: Target | undefined
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(private changed: () => void) {
    this.opened.catch(() => undefined)
  }

  private set(change: Partial<State>) {
    this.state = { ...this.state, ...change }
    this.changed()
  }

  /** Somebody is about to open a file: the core may start. */
  expect() {
    this.core.wake()
  }

  /** Opens files, which may still be on their way; whatever was under way ends. */
  async open(coming: Input[] | Promise<Input[]>) {
    const old =
      this.state.phase === 'ready' || this.state.phase === 'done' ? { state: this.state, inputs: this.inputs } : null
    if (this.busy()) this.core.stop()
    const walk = this.walks.begin()
    clearTimeout(this.timer)
    this.dropResult()
    this.set({ ...empty, chosen: { ...this.state.chosen, edits: new Map(), types: new Map() }, phase: 'opening' })
    await walk.steps(
      async () => {
        const inputs = await walk.wait(coming)
        if (inputs.length === 0) throw new CoreError('machine', text.errors.none)
        this.inputs = inputs
        const model = await walk.wait(this.inspect())
        this.set({ model, asking: model.missing.length > 0 })
      },
      err =>
        old && err instanceof CoreError && err.kind !== 'internal'
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
        const model = await walk.wait(this.inspect())
        this.set({ model })
        await this.begin(walk)
      },
      err => this.fail(err, 'ready', { refused: true }),
    )
  }

  /** What was opened is no model: the one before it is open again, edits and all, and the error is said. */
  private goBack(old: { state: State; inputs: Input[] }, err: CoreError, walk: Walk) {
    this.inputs = old.inputs
    const nothing = { progress: null, result: null, exported: null, verification: null }
    this.set({ ...old.state, ...nothing, phase: 'ready', stale: true, refused: false, error: problemOf(err) })
    return walk.steps(
      async () => {
        await walk.wait(this.inspect())
        if (!old.state.report) return
        const report = await walk.wait(this.decide())
        this.set({ report, stale: false, refused: report.problem !== '' })
      },
      err => this.fail(err, 'empty'),
    )
  }

  private busy() {
    const { phase, verification } = this.state
    return phase === 'opening' || phase === 'converting' || isProgress(verification)
  }

  private inspect(): Promise<Inspection> {
    this.opened = this.core.call('inspect', { inputs: this.inputs, parts: [...this.state.parts] })
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
    const found = await walk.wait(this.core.call('measure', { names }).catch(() => ({}) as Record<string, Figures>))
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
        const report = await walk.wait(this.decide())
        const { edits, types } = this.state.chosen
        if (this.state.model) void this.core.enlist(this.workers(this.state.model))
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

  private async decide(): Promise<Report> {
    const { choices } = await this.opened
    return (this.planned = await this.core.call('plan', requestOf(this.state.chosen, choices)))
  }

  /** The recipe as a coremltools config. */
  exportConfig(form: 'json' | 'yaml') {
    const walk = this.walks.current()
    return walk.steps(
      async () => {
        const exported = await walk.wait(this.core.call('config', {}))
        this.set({ exported })
        saveText(`nibble-config.${form}`, exported[form], form === 'json' ? 'application/json' : 'application/yaml')
      },
      err => this.fail(err, this.state.phase),
    )
  }

  /** The report of the last conversion in another form than JSON, which the page has. */
  async saveReport(form: 'csv' | 'html') {
    const walk = this.walks.current()
    const { result } = this.state
    if (!result) return
    await walk.steps(
      async () => {
        const body = await walk.wait(this.core.call('report', { form }))
        saveText(`${reportName(this.state)}.${form}`, body, `text/${form}`)
      },
      err => this.fail(err, 'done'),
    )
  }

  async convert() {
    const { report, model, refused } = this.state
    if (!report || !model || refused || this.state.phase === 'converting') return
    if (isProgress(this.state.verification)) {
      this.restart()
      this.set({ verification: null })
    }
    clearTimeout(this.timer)
    const walk = this.walks.begin()
    await walk.steps(
      async () => {
        // A browser shows its picker in the click, or soon after: only choices that have just changed are planned
        // before.
        const shown = !this.state.stale && this.planned ? this.planned : await this.accepted(walk)
        // A result of the plan before stays until the user has said where the new one is to go.
        const target = await walk.wait(chooseTarget(shown))
        if (target)
          await this.convertTo(target, model, await this.accepted(walk), walk) // a new worker has no plan
        else if (this.state.stale) this.set({ report: shown, stale: false })
      },
      err => this.fail(err, this.state.phase === 'done' ? 'done' : 'ready', this.state.stale ? { refused: true } : {}),
    )
  }

  /** A plan that can be converted. */
  private async accepted(walk: Walk): Promise<Report> {
    const plan = await walk.wait(this.decide())
    const conflict = conflictOf(plan)
    if (conflict) throw new CoreError('unsupported', conflict.message, { ...conflict, kind: 'unsupported' })
    return plan
  }

  private async convertTo(target: Target, model: Inspection, plan: Report, walk: Walk) {
    this.dropResult()
    this.target = target
    const progress = { done: 0, total: plan.totals.bytes_in, seconds: 0 }
    this.set({ phase: 'converting', error: null, report: plan, stale: false, progress })
    await walk.steps(
      async () => {
        const { name } = plan.output
        const { hash } = this.state.chosen
        const file = target.kind === 'private' && plan.folder ? `${name}.zip` : name
        const asked = { name: file, hash, target, workers: this.workers(model) }
        const { report, output } = await walk.wait(
          this.core.call(
            'convert',
            asked,
            this.watch(walk, progress => ({ progress })),
          ),
        )
        const python = await walk.wait(this.core.call('python', { name }))
        this.target = undefined
        this.set({ figures: withFigures(this.state, report.tensors) })
        const [first] = output
        const url = target.kind === 'private' && first ? URL.createObjectURL(first.blob) : null
        const result = { name: target.kind === 'folder' ? name : (first?.name ?? name), files: output, url, python }
        this.set({ phase: 'done', report, progress: null, result })
      },
      err => this.fail(err, 'ready', { progress: null }),
    )
  }

  /** How many workers a model is converted by, besides the one that leads; 0 when it does all. */
  private workers(model: Inspection) {
    return model.bytes < worthPool ? 0 : this.state.chosen.workers
  }

  /** Puts progress into the state, for as long as the walk goes on. */
  private watch(walk: Walk, change: (p: Progress) => Partial<State>) {
    const began = performance.now()
    return (done: number, total: number) => {
      if (walk.goesOn) this.set(change({ done, total, seconds: (performance.now() - began) / 1000 }))
    }
  }

  /** Ends the work at once. */
  cancel() {
    this.walks.end()
    this.restart()
    if (this.target) void clear(this.target)
    this.target = undefined
    this.set({ phase: 'ready', progress: null, error: { kind: 'cancelled', message: text.cancelled } })
  }

  /** Ends the worker and opens the same file in a new one, which knows none yet. */
  private restart() {
    this.core.stop()
    const walk = this.walks.current()
    void walk.steps(
      async () => void (await walk.wait(this.inspect())),
      err => this.fail(err, 'empty'),
    )
  }

  async verify() {
    const { result } = this.state
    if (!result || isProgress(this.state.verification)) return
    const walk = this.walks.begin()
    this.set({ verification: { done: 0, total: 1, seconds: 0 }, error: null })
    await walk.steps(
      async () => {
        const verification = await walk.wait(
          this.core.call(
            'verify',
            { output: result.files },
            this.watch(walk, verification => ({ verification })),
          ),
        )
        this.set({ verification })
      },
      err => this.fail(err, 'done', { verification: null }),
    )
  }

  private fail(err: unknown, phase: State['phase'], change: Partial<State> = {}) {
    const problem = problemOf(err)
    if (problem.kind === 'cancelled') return
    if (problem.kind === 'internal') {
      // The core is not to be trusted any more; the next file gets a new one.
      this.core.stop()
      problem.message = `${text.crashed} (${problem.message.split('\n')[0]})`
      phase = 'empty'
    }
    if (phase === 'empty' || !this.state.model) {
      this.dropResult()
      phase = 'empty'
      change = { ...change, model: null, report: null, progress: null }
    }
    this.set({ ...change, phase, error: problem })
  }

  private dropResult() {
    const { result } = this.state
    if (!result) return
    if (result.url) URL.revokeObjectURL(result.url)
    setTimeout(() => {
      for (const f of result.files) void discard(f.blob)
    }, keepForDownload)
    this.set({ result: null, verification: null })
  }
}
