import { fromList } from './files'
import { Mark } from './mark'
import type { Input } from '../library/nibble'
import type { State } from './state'
import { text } from './text'

interface Props {
  opening: boolean
  open(files: Input[]): void
  sample(): void
  error: State['error']
}

/** The first screen. */
export function DropZone({ opening, open, sample, error }: Props) {
  return (
    <section class="hero">
      <h1>{text.tagline}</h1>
      <p class="lead">{text.lead}</p>
      <ErrorBox error={error} />
      <div class={opening ? 'zone busy' : 'zone'}>
        <Mark size={56} />
        <p class="big">{opening ? text.opening : text.drop}</p>
        <p class="formats">{text.formats}</p>
        <div class="buttons">
          <FilePicker primary open={open} />
          <FolderPicker open={open} />
          <button type="button" class="quiet" data-testid="sample" onClick={sample}>
            {text.sample}
          </button>
        </div>
        <p class="fine">{text.sampleNote}</p>
      </div>
      <dl class="facts">
        {text.facts.map(([title, body]) => (
          <div>
            <dt>{title}</dt>
            <dd>{body}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

/** A file input that looks like a button. It is emptied, so that the same file can be chosen twice. */
export function FilePicker({
  open,
  primary,
  label = text.chooseFile,
}: {
  open(files: Input[]): void
  primary?: boolean
  label?: string
}) {
  return (
    <label class={primary ? 'button primary' : 'button'}>
      {label}
      <input
        type="file"
        data-testid="file-input"
        multiple
        onChange={e => {
          open(fromList(e.currentTarget.files))
          e.currentTarget.value = ''
        }}
      />
    </label>
  )
}

function FolderPicker({ open }: { open(files: Input[]): void }) {
  return (
    <label class="button">
      {text.chooseFolder}
      <input
        type="file"
        data-testid="folder-input"
        multiple
        {...{ webkitdirectory: true }}
        onChange={e => {
          open(fromList(e.currentTarget.files))
          e.currentTarget.value = ''
        }}
      />
    </label>
  )
}

/** What went wrong. */
export function ErrorBox({ error }: { error: State['error'] }) {
  if (!error) return null
  return (
    <p class={error.kind === 'cancelled' ? 'notice' : 'error'} role="alert" data-testid="error">
      {text.problem(error)}
    </p>
  )
}
