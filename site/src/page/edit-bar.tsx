import type { ClassName, Global, TensorRow } from '../library/nibble'
import { text } from './text'
import { hasBlocks, inForce, offersOf, owner, typed } from './recipe'
import type { Session } from './session'
import { isOn, type State } from './state'

/** What is chosen in the bar outlives the selection; at first it is what the core offers for edits. */
interface Props {
  rows: TensorRow[]
  hidden: number
  state: State
  session: Session
  draft: Global
  choose(d: Global): void
  done(): void
}

/** What can be done with the rows that are picked. */
export function EditBar({ rows, hidden, state, session, draft, choose, done }: Props) {
  const { model, chosen } = state
  if (!model) return null
  const { choices } = model
  const offers = offersOf(chosen, choices, state.report?.options.for)
  const busy = state.phase === 'converting'
  const { dtype, granularity, group_size: size } = inForce(draft, offers, offers.edit)
  const modules = [...new Set(rows.map(t => t.module))]
  const owners = [...new Set(rows.map(owner))]
  const blocks = hasBlocks(granularity, choices)
  const apply = () => session.edit(modules, { dtype, granularity, group_size: blocks ? size : '', scheme: '' })
  // Attention parameters have one class only; everything else differs in its axes.
  const ranks = [...new Set(rows.map(t => t.shape.length))]
  const classes = choices.classes.filter(c => c.other || (ranks.length === 1 && c.rank === ranks[0]))
  const sound = !blocks || /^[1-9]\d*$/.test(size.trim())
  const embeddings =
    !state.report?.options.for && !isOn(state, 'include_embeddings') && rows.some(t => t.reason_code === 'embedding')
  const present = [...new Set(owners.map(o => chosen.types.get(o) ?? ''))]
  return (
    <section class="edit" role="toolbar" aria-label={text.edit.title} data-testid="edit-bar">
      <strong>
        {text.edit.picked(rows.length)}
        {hidden > 0 && <small> {text.edit.hidden(hidden)}</small>}
      </strong>
      <Choice
        label={text.weightDtype}
        id="edit-dtype"
        value={dtype}
        off={busy}
        pick={dtype => choose({ ...draft, dtype })}
        from={offers.dtypes.map(v => [v, v])}
      />
      <Choice
        label={text.granularity}
        id="edit-granularity"
        value={granularity}
        off={busy}
        pick={granularity => choose({ ...draft, granularity })}
        from={offers.grains.map(g => [g.name, text.edit.grain[g.name]])}
      />
      {blocks && (
        <input
          aria-label={text.blockSize}
          data-testid="edit-block-size"
          inputMode="numeric"
          list="block-sizes"
          value={size.trim()}
          disabled={busy}
          onInput={e => choose({ ...draft, group_size: typed(e.currentTarget.value) })}
        />
      )}
      <button type="button" class="primary" data-testid="edit-apply" disabled={busy || !sound} onClick={apply}>
        {text.edit.apply}
      </button>
      <button type="button" data-testid="edit-keep" disabled={busy} onClick={() => session.edit(modules, null)}>
        {text.edit.keep}
      </button>
      <button
        type="button"
        data-testid="edit-reset"
        disabled={busy || !modules.some(m => chosen.edits.has(m))}
        onClick={() => session.edit(modules, undefined)}
      >
        {text.edit.reset}
      </button>
      <Choice
        label={text.edit.type}
        id="edit-type"
        value={present.length === 1 ? present[0]! : ''}
        off={busy}
        pick={name => session.setType(owners, (name || undefined) as ClassName | undefined)}
        from={[
          ['', text.edit.inferred],
          ...classes.map((c): [string, string] => [c.name, c.other ? text.edit.other : c.name]),
        ]}
      />
      <button type="button" class="quiet" data-testid="edit-done" onClick={done}>
        {text.edit.done}
      </button>
      {!sound && <p class="fine">{text.edit.block}</p>}
      {embeddings && (
        <p class="fine">
          {text.edit.embeddings}{' '}
          <button
            type="button"
            class="quiet"
            data-testid="edit-embeddings"
            onClick={() => session.switchOn('include_embeddings')}
          >
            {text.switches.include_embeddings}
          </button>
        </p>
      )}
      {state.refused && state.error && chosen.edits.size + chosen.types.size > 0 && (
        <p class="error">{text.problem(state.error)}</p>
      )}
    </section>
  )
}

interface ChoiceProps {
  label: string
  id: string
  value: string
  off: boolean
  from: [value: string, word: string][]
  pick(value: string): void
}

function Choice({ label, id, value, off, from, pick }: ChoiceProps) {
  return (
    <select
      aria-label={label}
      title={label}
      data-testid={id}
      value={value}
      disabled={off}
      onChange={e => pick(e.currentTarget.value)}
    >
      {from.map(([v, word]) => (
        <option value={v}>{word}</option>
      ))}
    </select>
  )
}
