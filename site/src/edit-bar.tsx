import { choices, classes, owner, sizeOf, type Edit } from './recipe'
import type { TensorRow } from './protocol'
import type { Session } from './session'
import type { State } from './state'
import { text } from './text'

/** What is chosen in the bar; it outlives the selection. */
export interface Draft { dtype: string, grain: string, block: string }

interface Props { rows: TensorRow[], hidden: number, state: State, session: Session, draft: Draft, choose(d: Draft): void, done(): void }

/** What can be done with the rows that are picked. */
export function EditBar({ rows, hidden, state, session, draft, choose, done }: Props) {
  const { dtype, grain, block } = draft
  const busy = state.phase === 'converting'
  const modules = [...new Set(rows.map(t => t.module))]
  const owners = [...new Set(rows.map(owner))]
  const apply = () => {
    const edit: Edit = { weight_dtype: dtype, granularity: grain }
    if (grain === 'per_block') edit.block_size = sizeOf(block)
    session.edit(modules, edit)
  }
  // Attention parameters have one class only; everything else is told apart by its axes.
  const ranks = [...new Set(rows.map(t => t.shape.length))]
  const types = ranks.length === 1 ? classes[ranks[0]!] ?? ['Module'] : ['Module']
  const sound = grain !== 'per_block' || /^[1-9]\d*$/.test(block.trim())
  const embeddings = !state.options.embeddings && rows.some(t => t.module_type === 'Embedding')
  const present = [...new Set(owners.map(o => state.options.types.get(o) ?? ''))]
  return (
    <section class="edit" role="toolbar" aria-label={text.edit.title} data-testid="edit-bar">
      <strong>{text.edit.picked(rows.length)}{hidden > 0 && <small> {text.edit.hidden(hidden)}</small>}</strong>
      <select aria-label={text.weightDtype} data-testid="edit-dtype" value={dtype} disabled={busy} onChange={e => choose({ ...draft, dtype: e.currentTarget.value })}>
        {choices.weightDtype.map(v => <option value={v}>{v}</option>)}
      </select>
      <select aria-label={text.granularity} data-testid="edit-granularity" value={grain} disabled={busy} onChange={e => choose({ ...draft, grain: e.currentTarget.value })}>
        {choices.granularity.map(v => <option value={v}>{text.edit.grain[v]}</option>)}
      </select>
      {grain === 'per_block' && (
        <input aria-label={text.blockSize} data-testid="edit-block-size" inputMode="numeric" list="block-sizes" value={block} disabled={busy} onInput={e => choose({ ...draft, block: e.currentTarget.value })} />
      )}
      <button type="button" class="primary" data-testid="edit-apply" disabled={busy || !sound} onClick={apply}>{text.edit.apply}</button>
      <button type="button" data-testid="edit-keep" disabled={busy} onClick={() => session.edit(modules, null)}>{text.edit.keep}</button>
      <button type="button" data-testid="edit-reset" disabled={busy || !modules.some(m => state.options.edits.has(m))} onClick={() => session.edit(modules, undefined)}>{text.edit.reset}</button>
      <select aria-label={text.edit.type} title={text.edit.type} data-testid="edit-type" disabled={busy} value={present.length === 1 ? present[0] : ''}
        onChange={e => session.setType(owners, e.currentTarget.value || undefined)}>
        <option value="">{text.edit.inferred}</option>
        {types.map(v => <option value={v}>{v === 'Module' ? text.edit.other : v}</option>)}
      </select>
      <button type="button" class="quiet" data-testid="edit-done" onClick={done}>{text.edit.done}</button>
      {!sound && <p class="fine">{text.edit.block}</p>}
      {embeddings && (
        <p class="fine">{text.edit.embeddings} <button type="button" class="quiet" data-testid="edit-embeddings" onClick={() => session.choose({ embeddings: true })}>{text.embeddings}</button></p>
      )}
      {state.refused && state.error && state.options.edits.size + state.options.types.size > 0 && <p class="error">{state.error.message}</p>}
    </section>
  )
}
