import { useState } from 'preact/hooks'
import type { ContainerName, Report, RuntimeName } from '../library/nibble'
import { text } from './text'

/** What to do with the file: where it runs well, and the lines of Python that take it there. */
export function WhatsNext({ report, python }: { report: Report; python: string }) {
  const [copied, setCopied] = useState(false)
  const devices = report.advice.filter(a => !a.fits)
  const runtime = report.options.for as RuntimeName | ''
  const note = runtime ? '' : text.containers[report.output.format as ContainerName].next
  const copy = () =>
    void navigator.clipboard.writeText(python).then(
      () => setCopied(true),
      () => setCopied(false),
    )
  return (
    <details class="next" data-testid="next">
      <summary>{text.next.title}</summary>
      {devices.length > 0 && (
        <ul class="advice" data-testid="advice">
          {devices.map(a => (
            <li>{text.advice(a)}</li>
          ))}
        </ul>
      )}
      {note && <p class="fine">{note}</p>}
      <p class="fine">{runtime ? text.runtimes[runtime].next : text.next.python}</p>
      <div class="code">
        <pre tabIndex={0} data-testid="python">
          <code>{python}</code>
        </pre>
        <button type="button" data-testid="copy" onClick={copy}>
          {copied ? text.next.copied : text.next.copy}
        </button>
      </div>
    </details>
  )
}
