// What a user can do on the page: each changes the state, which components only show.

import { Core } from './core'
import { saveText } from './download'
import { CoreError } from './error'
import type { Figures, Input, Inspection, Report } from './protocol'
import { noneQuantized, outputName, requestOf, schemeKey, type Edit, type Options } from './recipe'
import { discard } from './sink'
import { empty, isProgress, reportName, withBefore, withFigures, type Edited, type Progress, type State } from './state'
import { chooseTarget, clear, type Target } from './target'
import { text } from './text'

/** Rows are measured before an edit only when that is quick. */
const quickToMeasure = 100e6

/** A smaller model is done by the leading worker before others would be of use. */
const worthHands = 32e6

/** How long a download that was begun may go on reading a result that is gone from the page. */
const keepForDownload = 10_000

export class Session {
  state = empty
  private core = new Core(err => {
    this.turn++ // whatever waits for an answer waits no more
    this.fail(err, 'empty')
  })
  private inputs: Input[] = []
  /** The worker's answer about inputs; whatever needs the file waits for it. */
  private opened: Promise<Inspection> = Promise.reject(new Error('no file is open'))
  /** Counts what the user asked for, so that a late answer to an old question is dropped. */
  private turn = 0
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
  expect() { this.core.wake() }

  /** Opens files, which may still be on their way; whatever was under way ends. */
  async open(coming: Input[] | Promise<Input[]>) {
    const old = this.state.phase === 'ready' || this.state.phase === 'done' ? { state: this.state, inputs: this.inputs } : null
    if (this.busy()) this.core.stop()
    const turn = ++this.turn
    clearTimeout(this.timer)
    this.dropResult()
    this.set({ ...empty, options: { ...this.state.options, edits: new Map(), types: new Map() }, phase: 'opening' })
    try {
      const inputs = await coming
      if (turn !== this.turn) return
      if (inputs.length === 0) throw new CoreError('machine', text.errors.none)
      this.inputs = inputs
      const model = await this.inspect()
      if (turn !== this.turn) return
      this.set({ model, asking: model.missing.length > 0 })
    } catch (err) {
      if (turn !== this.turn) return
      if (old && err instanceof CoreError && err.kind !== 'internal') await this.goBack(old, err, turn)
      else this.fail(err, 'empty')
      return
    }
    await this.begin(turn)
  }

  /** Plans what was opened, unless the user has to be asked before: one file of several, or several models in one. */
  private async begin(turn: number) {
    const { model, asking } = this.state
    if (asking || model?.tensors === 0) this.set({ phase: 'ready', report: null, stale: false })
    else await this.plan(turn)
  }

  /** The one file of several is meant. */
  goOn() {
    this.set({ asking: false })
    void this.begin(++this.turn)
  }

  /** Takes other parts of a file that holds several models. */
  async take(parts: string[]) {
    if (this.state.phase === 'converting') return
    const turn = this.settle({ ...this.state.options, edits: new Map(), types: new Map() })
    this.set({ parts, past: [], figures: new Map(), before: new Map(), error: null })
    const model = await this.inspect().catch((err: unknown) => { if (turn === this.turn) this.fail(err, 'ready', { refused: true }) })
    if (!model || turn !== this.turn) return
    this.set({ model })
    await this.begin(turn)
  }

  /** What was opened is no model: the one before it is open again, edits and all, and the error is said. */
  private async goBack(old: { state: State, inputs: Input[] }, { kind, code, message }: CoreError, turn: number) {
    this.inputs = old.inputs
    this.set({ ...old.state, phase: 'ready', stale: true, refused: false, progress: null, result: null, exported: null, verification: null, error: { kind, code, message } })
    try {
      await this.inspect()
      if (!old.state.report) return
      const report = await this.decide()
      if (turn === this.turn) this.set({ report, stale: false, refused: report.problem !== '' })
    } catch (err) {
      if (turn === this.turn) this.fail(err, 'empty')
    }
  }

  private busy() {
    const { phase, verification } = this.state
    return phase === 'opening' || phase === 'converting' || isProgress(verification)
  }

  private inspect(): Promise<Inspection> {
    this.opened = this.core.call('inspect', [this.inputs, [...this.state.parts]])
    return this.opened
  }

  /** Changes the recipe or the container. The result of the old one goes; a plan follows. */
  choose(change: Partial<Options>) {
    if (this.state.phase === 'converting') return
    const options = { ...this.state.options, ...change }
    if (!this.state.model || Object.keys(change).every(k => k === 'hash' || k === 'workers')) {
      this.set({ options })
      return
    }
    const turn = this.settle(options)
    this.timer = setTimeout(() => void this.plan(turn), 120)
  }

  /** Takes options that call for a new plan; the result of the old ones goes. */
  private settle(options: Options): number {
    if (isProgress(this.state.verification)) this.restart()
    clearTimeout(this.timer)
    this.dropResult()
    this.set({ options, stale: true, refused: false, exported: null, phase: this.state.phase === 'opening' ? 'opening' : 'ready' })
    return ++this.turn
  }

  /** Gives modules a config by hand, null to keep them, undefined to follow the recipe again. */
  edit(modules: string[], config: Edit | null | undefined) {
    const edits = new Map(this.state.options.edits)
    for (const m of modules) {
      edits.delete(m)
      if (config !== undefined) edits.set(m, config)
    }
    void this.change({ edits, types: this.state.options.types }, t => modules.includes(t.module))
  }

  /** Says which class modules are; undefined leaves it to the core. */
  setType(modules: string[], name: string | undefined) {
    const types = new Map(this.state.options.types)
    for (const m of modules) {
      types.delete(m)
      if (name !== undefined) types.set(m, name)
    }
    void this.change({ edits: this.state.options.edits, types }, t => modules.includes(t.module))
  }

  undo() {
    const last = this.state.past.at(-1)
    if (!last || this.state.phase === 'converting') return
    this.set({ past: this.state.past.slice(0, -1) })
    this.choose(last)
  }

  /** Puts edits in force at once. What the rows cost before is measured before the next plan, where that is quick. */
  private async change(edited: Edited, which: (t: Report['tensors'][number]) => boolean) {
    const { report, options, past, phase, stale, verification } = this.state
    if (!report || phase === 'converting') return
    const rows = report.tensors.filter(t => which(t) && t.scheme !== null)
    const quick = !stale && !isProgress(verification) && rows.reduce((n, t) => n + t.bytes_in, 0) < quickToMeasure
    const turn = this.settle({ ...options, ...edited })
    this.set({ past: [...past, { edits: options.edits, types: options.types }] })
    if (quick) {
      await this.measure(rows, turn)
      this.set({ before: withBefore(this.state, rows) })
    }
    if (turn === this.turn) await this.plan(turn)
  }

  /** Fills figures for rows that have none yet; what goes wrong shows when converting. */
  private async measure(rows: Report['tensors'], turn: number) {
    const names = rows.filter(t => t.scheme && !this.state.figures.has(schemeKey(t))).map(t => t.name)
    if (names.length === 0) return
    const found = await this.core.call('measure', [JSON.stringify(names)]).catch(() => ({} as Record<string, Figures>))
    if (turn === this.turn) this.set({ figures: withFigures(this.state, rows.flatMap(t => found[t.name] ? [{ ...t, ...found[t.name] }] : [])) })
  }

  /** Plans; a recipe that the core refuses leaves the model open and the controls alive. */
  private async plan(turn: number) {
    try {
      const report = await this.decide()
      if (turn !== this.turn) return
      const { edits, types } = this.state.options
      if (this.state.model) void this.core.enlist(this.workers(this.state.model))
      const unedited = edits.size === 0 ? report.output.bytes : this.state.unedited
      // That nothing would be quantized is said beside the button, in the page's own words.
      const error = report.problem && report.problem_code !== noneQuantized ? { kind: 'unsupported' as const, code: report.problem_code, message: report.problem } : null
      this.set({ phase: 'ready', report, unedited, stale: false, refused: report.problem !== '', error })
      await this.measure(report.tensors.filter(t => edits.has(t.module) || types.has(t.module)), turn)
    } catch (err) {
      if (turn === this.turn) this.fail(err, 'ready', { stale: true, refused: true })
    }
  }

  private async decide(): Promise<Report> {
    await this.opened
    const { options } = this.state
    try {
      return await this.core.call('plan', [requestOf(options)])
    } catch (err) {
      // A place in JSON means something only to who wrote it.
      if (err instanceof CoreError && !options.config.trim()) err.message = err.message.replace(/^line \d+: (?:global_config: )?/, '')
      throw err
    }
  }

  /** The recipe as a coremltools config. */
  async exportConfig(form: 'json' | 'yaml') {
    const { turn } = this
    try {
      const exported = await this.core.call('config', [])
      if (turn !== this.turn) return
      this.set({ exported })
      saveText(`nibble-config.${form}`, exported[form], form === 'json' ? 'application/json' : 'application/yaml')
    } catch (err) {
      if (turn === this.turn) this.fail(err, this.state.phase)
    }
  }

  /** The report of the last conversion in another form than JSON, which the page has. */
  async saveReport(form: 'csv' | 'html') {
    const { turn } = this
    const { result } = this.state
    if (!result) return
    try {
      const body = await this.core.call('report', [form])
      if (turn === this.turn) saveText(`${reportName(result.name)}.${form}`, body, `text/${form}`)
    } catch (err) {
      if (turn === this.turn) this.fail(err, 'done')
    }
  }

  async convert() {
    const { report, options, model, refused } = this.state
    if (!report || !model || refused || this.state.phase === 'converting') return
    if (isProgress(this.state.verification)) this.restart()
    const name = outputName(model, options)
    const before = this.turn
    let target: Target | undefined
    try {
      target = await chooseTarget(model, name, report.output.bytes)
    } catch (err) {
      if (before === this.turn) this.fail(err, this.state.phase)
    }
    if (!target || before !== this.turn) return
    const turn = ++this.turn
    clearTimeout(this.timer)
    this.dropResult()
    this.target = target
    this.set({ phase: 'converting', error: null, progress: { done: 0, total: report.totals.bytes_in, seconds: 0 } })
    try {
      // Planned once more: the controls may just have changed, and a new worker has no plan.
      const plan = await this.decide()
      if (turn !== this.turn) return
      this.set({ report: plan, stale: false })
      if (plan.problem) throw new CoreError('unsupported', plan.problem, plan.problem_code)
      const { report, output } = await this.core.call('convert', [target.kind === 'private' && model.shards > 0 ? `${name}.zip` : name, options.hash, target, this.workers(model)], this.watch(turn, progress => ({ progress })))
      const python = await this.core.call('python', [name])
      if (turn !== this.turn) return
      this.target = undefined
      this.set({ figures: withFigures(this.state, report.tensors) })
      const [first] = output
      const url = target.kind === 'private' && first ? URL.createObjectURL(first.blob) : null
      this.set({ phase: 'done', report, progress: null, result: { name: target.kind === 'folder' ? name : first?.name ?? name, files: output, url, python } })
    } catch (err) {
      if (turn === this.turn) this.fail(err, 'ready', { progress: null })
    }
  }

  /** How many workers a model is converted by, besides the one that leads; 0 when it does all. */
  private workers(model: Inspection) { return model.bytes < worthHands ? 0 : this.state.options.workers }

  /** Puts progress into the state, for as long as the turn is the present one. */
  private watch(turn: number, change: (p: Progress) => Partial<State>) {
    const began = performance.now()
    return (done: number, total: number) => {
      if (turn === this.turn) this.set(change({ done, total, seconds: (performance.now() - began) / 1000 }))
    }
  }

  /** Ends the work at once. */
  cancel() {
    this.turn++
    this.restart()
    if (this.target) void clear(this.target)
    this.target = undefined
    this.set({ phase: 'ready', progress: null, error: { kind: 'cancelled', message: text.cancelled } })
  }

  /** Ends the worker and opens the same file in a new one, which knows none yet. */
  private restart() {
    this.core.stop()
    const turn = this.turn
    this.inspect().catch((err: unknown) => { if (turn === this.turn) this.fail(err, 'empty') })
  }

  async verify() {
    const { result } = this.state
    if (!result || isProgress(this.state.verification)) return
    const turn = ++this.turn
    this.set({ verification: { done: 0, total: 1, seconds: 0 }, error: null })
    try {
      const verification = await this.core.call('verify', [result.files], this.watch(turn, verification => ({ verification })))
      if (turn === this.turn) this.set({ verification })
    } catch (err) {
      if (turn === this.turn) this.fail(err, 'done', { verification: null })
    }
  }

  private fail(err: unknown, phase: State['phase'], change: Partial<State> = {}) {
    const kind = err instanceof CoreError ? err.kind : 'internal'
    if (kind === 'cancelled') return
    let message = err instanceof Error ? err.message : String(err)
    if (kind === 'internal') {
      // The core is not to be trusted any more; the next file gets a new one.
      this.core.stop()
      message = `${text.crashed} (${message.split('\n')[0]})`
      phase = 'empty'
    }
    if (phase === 'empty' || !this.state.model) {
      this.dropResult()
      phase = 'empty'
      change = { ...change, model: null, report: null, progress: null }
    }
    this.set({ ...change, phase, error: { kind, code: err instanceof CoreError ? err.code : '', message } })
  }

  private dropResult() {
    const { result } = this.state
    if (!result) return
    if (result.url) URL.revokeObjectURL(result.url)
    setTimeout(() => { for (const f of result.files) void discard(f.blob) }, keepForDownload)
    this.set({ result: null, verification: null })
  }
}
