import { FilePicker } from './dropzone'
import * as format from '../shared/format'
import { Parts } from './parts'
import type { Input } from '../library/nibble'
import type { TensorRow } from '../library/nibble'
import type { Session } from './session'
import type { State } from './state'
import { text } from './text'

/** The model as two bars on one scale: what it weighs now and after, tensor by tensor. */
export function Picture({ state, session, open }: { state: State; session: Session; open(files: Input[]): void }) {
  const { model, report } = state
  if (!model) return null
  // The weights alone are compared; an optimizer and other parts stand beside them.
  const weights = report?.totals.bytes_weights ?? model.bytes
  const left = report?.totals.bytes_left_out ?? 0
  const before = weights + left
  const after = report?.output.bytes ?? before
  const factor = weights / after
  return (
    <section class="picture">
      <div class="title">
        <div>
          <h2 title={model.name}>{model.name.slice(model.name.lastIndexOf('/') + 1)}</h2>
          <p class="meta">
            {model.format}
            {model.folder && ` · ${text.shards(model.shards)}`}
            {model.tensors > 0 &&
              ` · ${text.tensors(model.tensors)} · ${format.count(model.parameters)} ${text.parameters}`}
            {model.tensors > 0 && ` · ${model.dtypes.join(', ')}`}
          </p>
        </div>
        <FilePicker open={open} label={text.another} />
      </div>
      <Parts state={state} session={session} />
      {report && (
        <div class={state.stale ? 'stale' : ''}>
          <div class="bars">
            <Bar
              label={text.now}
              bytes={before}
              width={Math.min(1, before / after)}
              rows={report.tensors}
              of="bytes_in"
              left={left}
            />
            <Bar
              label={text.after}
              bytes={after}
              width={Math.min(1, after / before)}
              rows={report.tensors}
              of="bytes_out"
              left={0}
            />
          </div>
          <div class="legend">
            <span>
              <i class="on" />
              {text.legendQuantized} {report.totals.quantized}
            </span>
            <span>
              <i />
              {text.legendKept} {report.totals.tensors - report.totals.quantized}
            </span>
            {left > 0 && (
              <span>
                <i class="left" />
                {text.legendLeft} {format.bytes(left)}
              </span>
            )}
            <strong>{factor >= 1 ? text.smaller(format.ratio(factor)) : text.larger(format.ratio(1 / factor))}</strong>
          </div>
          {report.notes.length > 0 && (
            <details class="notes" open={left > 0 || undefined}>
              <summary>
                {text.notes} ({report.notes.length})
              </summary>
              <ul>
                {report.notes.map(n => (
                  <li>{n}</li>
                ))}
              </ul>
            </details>
          )}
        </div>
      )}
    </section>
  )
}

/** How many segments a bar of full width may have; smaller tensors share one. */
const mostSegments = 160

interface Segment {
  name: string
  bytes: number
  on: boolean
}

interface BarProps {
  label: string
  bytes: number
  width: number
  rows: TensorRow[]
  of: 'bytes_in' | 'bytes_out'
  left: number
}

function Bar({ label, bytes, width, rows, of, left }: BarProps) {
  return (
    <div class="bar-row">
      <span class="bar-label">{label}</span>
      <div class="track">
        <div
          class="bar"
          role="img"
          aria-label={`${label}: ${format.bytes(bytes)}`}
          style={{ width: `${width * 100}%` }}
        >
          {split(rows, of, Math.max(12, mostSegments * width)).map(p => (
            <i
              class={`${p.on ? 'on' : ''}${p.bytes > bytes / 60 ? ' wide' : ''}`}
              style={{ flexGrow: p.bytes }}
              title={`${p.name}: ${format.bytes(p.bytes)}`}
            />
          ))}
          {left > 0 && (
            <i class="left" style={{ flexGrow: left }} title={`${text.legendLeft}: ${format.bytes(left)}`} />
          )}
        </div>
      </div>
      <span class="bar-bytes">{format.bytes(bytes)}</span>
    </div>
  )
}

/** The tensors in file order; neighbours that are small and of the same verdict become one segment. */
function split(rows: TensorRow[], of: 'bytes_in' | 'bytes_out', most: number): Segment[] {
  const total = rows.reduce((n, r) => n + r[of], 0)
  const out: Segment[] = []
  for (const r of rows) {
    const on = r.verdict === 'quantize'
    const last = out.at(-1)
    if (last && last.on === on && (last.bytes < total / most || r[of] < total / most)) {
      last.bytes += r[of]
      if (!last.name.endsWith(' …')) last.name += ' …'
    } else out.push({ name: r.name, bytes: r[of], on })
  }
  return out
}
