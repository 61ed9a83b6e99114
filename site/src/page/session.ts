// What a user can do with a plan: convert it, verify the result, export the recipe and the report.

import type { Plan, Target } from '../library/nibble'
import { saveText } from './download'
import { Planning } from './planning'
import { conflictOf, isProgress, reportName, withFigures, type Progress, type State } from './state'
import { refusal } from './store'
import { chooseTarget } from './target'
import { text } from './text'
import type { Walk } from './walks'

export class Session extends Planning {
  /** Ends a conversion that is under way. */
  private stopping: AbortController | undefined

  /** The recipe as a coremltools config. */
  exportConfig(form: 'json' | 'yaml') {
    const walk = this.walks.current()
    return walk.steps(
      async () => {
        const exported = await walk.wait(this.exported())
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
        const body = await walk.wait(this.opened.then(m => m.reportAs(form)))
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
        const target = await walk.wait(chooseTarget(shown.report))
        if (target) await this.convertTo(target, shown, walk)
        else if (this.state.stale) this.set({ report: shown.report, stale: false })
      },
      err => this.fail(err, this.state.phase === 'done' ? 'done' : 'ready', this.state.stale ? { refused: true } : {}),
    )
  }

  /** A plan that can be converted. */
  private async accepted(walk: Walk): Promise<Plan> {
    const plan = await walk.wait(this.decide())
    const conflict = conflictOf(plan.report)
    if (conflict) throw refusal(conflict)
    return plan
  }

  private async convertTo(target: Target, plan: Plan, walk: Walk) {
    this.dropResult()
    const { report: planned } = plan
    const progress = { done: 0, total: planned.totals.bytes_in, seconds: 0 }
    this.set({ phase: 'converting', error: null, report: planned, stale: false, progress })
    await walk.steps(
      async () => {
        const model = await walk.wait(this.opened)
        const { name } = planned.output
        const stopping = (this.stopping = new AbortController())
        const { hash, workers } = this.state.chosen
        this.engine.workers = workers
        const options = { hash, signal: stopping.signal, onProgress: this.watch(walk, progress => ({ progress })) }
        const files = await walk.wait(model.convert(plan, target, options))
        const python = await walk.wait(model.python(name))
        this.stopping = undefined
        const report = model.report!
        this.set({ figures: withFigures(this.state, report.tensors) })
        const [first] = files
        const url = target === 'private' && first?.blob ? URL.createObjectURL(first.blob) : null
        const folder = typeof target === 'object' && 'kind' in target && target.kind === 'directory'
        const result = { name: folder ? name : (first?.name ?? name), files, url, python }
        this.set({ phase: 'done', report, progress: null, result })
      },
      err => this.fail(err, 'ready', { progress: null }),
    )
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
    this.stopping?.abort()
    this.stopping = undefined
    this.restart()
    this.set({ phase: 'ready', progress: null, error: { kind: 'cancelled', message: text.cancelled } })
  }

  /** The newest plan's recipe, as a config. */
  private async exported() {
    const model = await this.opened
    return model.config(this.planned ?? (await this.decide()))
  }

  async verify() {
    const { result } = this.state
    if (!result || isProgress(this.state.verification)) return
    const walk = this.walks.begin()
    this.set({ verification: { done: 0, total: 1, seconds: 0 }, error: null })
    await walk.steps(
      async () => {
        const model = await walk.wait(this.opened)
        const onProgress = this.watch(walk, verification => ({ verification }))
        const verification = await walk.wait(model.verify(result.files, { onProgress }))
        this.set({ verification })
      },
      err => this.fail(err, 'done', { verification: null }),
    )
  }
}
