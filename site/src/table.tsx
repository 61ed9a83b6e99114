import { useState } from 'preact/hooks'
import * as format from './format'
import type { Report, TensorRow } from './protocol'
import { text } from './text'

/** Rows that are drawn before "show more"; models have thousands. */
const step = 300

/** The verdict on every tensor, and after converting its error. */
export function Table({ report, done, stale }: { report: Report, done: boolean, stale: boolean }) {
  const [filter, setFilter] = useState('')
  const [limit, setLimit] = useState(step)
  const rows = report.tensors.filter(t => t.name.toLowerCase().includes(filter.toLowerCase()))
  const most = report.tensors.reduce((n, t) => Math.max(n, t.bytes_in), 1)
  return (
    <section class={stale ? 'tensors stale' : 'tensors'}>
      <input class="filter" type="search" value={filter} placeholder={text.filter} aria-label={text.filter}
        onInput={e => { setFilter(e.currentTarget.value); setLimit(step) }} />
      <div class="scroll" tabIndex={0} role="region" aria-label={text.tensorList}>
        <table data-testid="tensor-table">
          <thead>
            <tr>
              <th>{text.columns.name}</th><th>{text.columns.shape}</th><th>{text.columns.layer}</th>
              <th>{text.columns.verdict}</th><th class="size">{text.columns.size}</th>
              {done && <th class="number rmse" title={text.rmseHint}>{text.columns.rmse}</th>}
              {done && <th class="number" title={text.signalHint}>{text.columns.error}</th>}
            </tr>
          </thead>
          <tbody>{rows.slice(0, limit).map(t => <Row key={t.name} t={t} most={most} done={done} />)}</tbody>
        </table>
      </div>
      {rows.length === 0 && <p class="fine">{text.noMatch}</p>}
      {rows.length > limit && <button type="button" class="quiet" onClick={() => setLimit(limit + 5 * step)}>{text.more(rows.length - limit)}</button>}
    </section>
  )
}

function Row({ t, most, done }: { t: TensorRow, most: number, done: boolean }) {
  const on = t.verdict === 'quantize'
  return (
    <tr class={on ? 'on' : ''} data-name={t.name} data-verdict={t.verdict}>
      <td class="name">{t.name.split('.').flatMap((part, i) => i ? ['.', <wbr />, part] : [part])}</td>
      <td class="shape"><span>{format.shape(t.shape)}</span> <small>{t.dtype}</small></td>
      <td class="layer" title={t.module_type_source === 'inferred' ? text.inferred : ''}>
        {t.module_type}{t.module_type_source === 'inferred' && <sup>?</sup>}
      </td>
      <td class="verdict" title={t.rule ? `${text.rule}: ${t.rule}` : ''}>
        <div>
          {t.scheme ? <span class="badge">{t.scheme.weight_dtype}</span> : <span class="badge off">{text.kept}</span>}
          <span class="why">{t.scheme ? grain(t) : t.reason}</span>
        </div>
      </td>
      <td class="size">
        <span class="weigh"><i style={{ width: `${100 * t.bytes_in / most}%` }}><i style={{ width: `${Math.min(100, 100 * t.bytes_out / Math.max(t.bytes_in, 1))}%` }} /></i></span>
        <span>{format.bytes(t.bytes_in)}{on && <> → <b>{format.bytes(t.bytes_out)}</b></>}</span>
      </td>
      {done && <td class="number rmse">{t.rmse === null ? '' : format.small(t.rmse)}</td>}
      {done && (
        <td class="number" title={t.rmse === null ? '' : `${text.maxError} ${format.small(t.max_abs_error ?? 0)}, ${text.cosine} ${(t.cosine ?? 1).toFixed(6)}`}>
          {t.rmse !== null && <span class="weigh"><i class="on" style={{ width: `${Math.max(0, Math.min(100, 2 * (t.sqnr_db ?? 50)))}%` }} /></span>}
          {t.rmse === null ? '' : t.sqnr_db === null ? '∞' : `${t.sqnr_db.toFixed(1)} dB`}
        </td>
      )}
    </tr>
  )
}

function grain(t: TensorRow): string {
  const s = t.scheme!
  const range = s.quantization_scheme === 'affine' ? ', affine' : ''
  if (s.granularity === 'per_block') return text.blockOf((s.block_size ?? []).join(' × ')) + range
  return (s.granularity === 'per_channel' ? text.perChannel : text.perTensor) + range
}
