import { useMemo, useState } from 'preact/hooks'
import { EditBar } from './edit-bar'
import * as format from '../shared/format'
import type { Figures, Global, Report, TensorRow } from '../library/nibble'
import { nothing, schemeKey } from './recipe'
import { useSelection, type Selection } from './selection'
import type { Session } from './session'
import type { State } from './state'
import { text } from './text'

/** Rows that are drawn before "show more"; models have thousands. */
const step = 300

/** The verdict on every tensor, and where it is known its error. */
export function Table({ state, session, report }: { state: State; session: Session; report: Report }) {
  const [filter, setFilter] = useState('')
  const [limit, setLimit] = useState(step)
  const [draft, setDraft] = useState<Global>(nothing)
  const { matches, broken } = useMemo(() => matcher(filter), [filter])
  const rows = report.tensors.filter(matches)
  const shown = rows.slice(0, limit)
  const selection = useSelection(rows)
  const picked = report.tensors.filter(t => selection.names.has(t.name))
  const { chosen, past } = state
  const columns: Columns = {
    most: report.tensors.reduce((n, t) => Math.max(n, t.bytes_in), 1),
    rules: chosen.config.trim() !== '' || chosen.edits.size > 0,
    errors: state.phase === 'done' || state.figures.size > 0,
  }
  const free = rows.filter(t => t.settable)
  const doubtful = report.tensors.filter(t => t.reason_code === 'doubtful').map(t => t.name)
  const every = free.length > 0 && free.every(t => selection.names.has(t.name))
  return (
    <section
      class="tensors"
      onKeyDown={e => {
        if (e.key === 'Escape') selection.none()
      }}
    >
      <div class="tools">
        <input
          class="filter"
          type="search"
          value={filter}
          placeholder={text.filter}
          aria-label={text.filter}
          data-testid="filter"
          onInput={e => {
            setFilter(e.currentTarget.value)
            setLimit(step)
          }}
        />
        <label class="check">
          <input
            type="checkbox"
            data-testid="select-all"
            checked={every}
            onChange={e => selection.all(e.currentTarget.checked)}
          />
          {text.selectAll}
        </label>
        {doubtful.length > 0 && (
          <button type="button" class="quiet" data-testid="pick-doubtful" onClick={() => selection.only(doubtful)}>
            {text.doubtful(doubtful.length)}
          </button>
        )}
        <span class="fine hint" data-testid="filter-count">
          {broken ? text.filterBroken(rows.length) : filter ? text.filterCount(rows.length) : text.selectHint}
        </span>
        <button
          type="button"
          class="quiet"
          data-testid="undo"
          disabled={past.length === 0 || state.phase === 'converting'}
          onClick={() => session.undo()}
        >
          {text.undo}
        </button>
      </div>
      <div class={state.stale ? 'scroll stale' : 'scroll'} tabIndex={0} role="region" aria-label={text.tensorList}>
        <table data-testid="tensor-table">
          <thead>
            <tr>
              <th class="pick"></th>
              <th>{text.columns.name}</th>
              <th>{text.columns.shape}</th>
              <th>{text.columns.layer}</th>
              <th>{text.columns.verdict}</th>
              <th class="size">{text.columns.size}</th>
              {columns.errors && (
                <th class="number rmse" title={text.rmseHint}>
                  {text.columns.rmse}
                </th>
              )}
              {columns.errors && (
                <th class="number" title={text.signalHint}>
                  {text.columns.error}
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {shown.map(t => (
              <Row
                key={t.name}
                t={t}
                columns={columns}
                selection={selection}
                edited={chosen.edits.has(t.module)}
                now={t.rmse !== null ? t : state.figures.get(schemeKey(t))}
                before={chosen.edits.has(t.module) ? state.before.get(t.name) : undefined}
              />
            ))}
          </tbody>
        </table>
      </div>
      {rows.length === 0 && <p class="fine">{text.noMatch}</p>}
      {rows.length > limit && (
        <button type="button" class="quiet" onClick={() => setLimit(limit + 5 * step)}>
          {text.more(rows.length - limit)}
        </button>
      )}
      {picked.length > 0 && (
        <EditBar
          rows={picked}
          state={state}
          session={session}
          draft={draft}
          choose={setDraft}
          hidden={picked.filter(t => !matches(t)).length}
          done={() => selection.none()}
        />
      )}
    </section>
  )
}

/** A filter is a regular expression, found anywhere; one that is broken is plain text. */
function matcher(filter: string): { matches: (t: TensorRow) => boolean; broken: boolean } {
  try {
    const pattern = new RegExp(filter, 'i')
    return { matches: t => pattern.test(t.name), broken: false }
  } catch {
    const low = filter.toLowerCase()
    return { matches: t => t.name.toLowerCase().includes(low), broken: true }
  }
}

interface Columns {
  most: number
  rules: boolean
  errors: boolean
}

interface RowProps {
  t: TensorRow
  columns: Columns
  selection: Selection
  edited: boolean
  now: Figures | undefined
  before: Figures | undefined
}

function Row({ t, columns, selection, edited, now, before }: RowProps) {
  const on = t.verdict === 'quantize'
  const free = t.settable
  const picked = selection.names.has(t.name)
  const changed = before && now && before.sqnr_db !== now.sqnr_db ? before : undefined
  return (
    <tr
      class={`${on ? 'on' : ''}${picked ? ' picked' : ''}${free ? ' free' : ''}`}
      data-name={t.name}
      data-verdict={t.verdict}
      onMouseDown={e => {
        if (e.shiftKey) e.preventDefault()
      }}
      onClick={e => {
        if (free && !getSelection()?.toString()) selection.pick(t.name, e.shiftKey)
      }}
    >
      <td class="pick">
        {free && (
          <input
            type="checkbox"
            aria-label={`${text.select} ${t.name}`}
            checked={picked}
            onClick={e => {
              e.stopPropagation()
              selection.pick(t.name, e.shiftKey)
            }}
          />
        )}
      </td>
      <td class="name">{t.name.split('.').flatMap((part, i) => (i ? ['.', <wbr />, part] : [part]))}</td>
      <td class="shape">
        <span>{format.shape(t.shape)}</span> <small>{t.dtype}</small>
      </td>
      <td class="layer" title={t.module_type_source && text.sources[t.module_type_source]}>
        {t.module_type}
        {t.module_type_source === 'inferred' && <sup>?</sup>}
        {t.module_type_source === 'doubtful' && <sup>??</sup>}
      </td>
      <td class="verdict" title={t.rule ? `${text.rule}: ${t.rule}` : ''}>
        <div>
          {t.scheme ? (
            <span class="badge">{t.scheme.weight_dtype}</span>
          ) : (
            <span class="badge off">{t.reason_code === 'doubtful' ? text.keptDoubtful : text.kept}</span>
          )}
          <span class="why">
            {t.scheme ? grain(t) : text.reason(t)}
            {t.beyond_coremltools && <sup title={text.beyond(t)}>+</sup>}
          </span>
        </div>
        {columns.rules && <p class="by">{!t.rule ? text.noRule : edited ? text.byHand : t.rule}</p>}
      </td>
      <td class="size">
        <span class="weigh">
          <i style={{ width: `${(100 * t.bytes_in) / columns.most}%` }}>
            <i style={{ width: `${Math.min(100, (100 * t.bytes_out) / Math.max(t.bytes_in, 1))}%` }} />
          </i>
        </span>
        <span>
          {format.bytes(t.bytes_in)}
          {on && (
            <>
              {' '}
              → <b>{format.bytes(t.bytes_out)}</b>
            </>
          )}
        </span>
      </td>
      {columns.errors && <td class="number rmse">{on && now ? format.small(now.rmse ?? 0) : ''}</td>}
      {columns.errors && (
        <td class="number" title={on && now ? errorTitle(now) : ''}>
          {on && now && (
            <span class="weigh">
              <i class="on" style={{ width: `${Math.max(0, Math.min(100, 2 * (now.sqnr_db ?? 50)))}%` }} />
            </span>
          )}
          {on && now && (
            <>
              {changed && <span class="was">{decibels(changed)} → </span>}
              {decibels(now)} dB
            </>
          )}
        </td>
      )}
    </tr>
  )
}

const decibels = (f: Figures) => (f.sqnr_db === null ? '∞' : f.sqnr_db.toFixed(1))

function grain({ scheme }: TensorRow): string {
  if (!scheme) return ''
  const size = (scheme.block_size ?? []).join(' × ')
  return [text.grainOf(scheme.granularity, size), text.rangeOf(scheme.quantization_scheme)].filter(Boolean).join(', ')
}

/** The figures that have no column of their own. */
const errorTitle = (f: Figures) =>
  `${text.maxError} ${format.small(f.max_abs_error ?? 0)}, ${text.cosine} ${(f.cosine ?? 1).toFixed(6)}`
