// A site that offers 4-bit conversion: copy dist/ to nibble/ beside these two files, and serve the folder.
import * as nibble from './nibble/nibble.js'

const [files, stop, bar, said, save] = ['files', 'stop', 'bar', 'said', 'save'].map(id => document.getElementById(id))
const engine = new nibble.Engine()

files.onchange = async () => {
  const stopping = new AbortController()
  stop.onclick = () => stopping.abort(new Error('Stopped.'))
  files.disabled = save.hidden = true
  try {
    const model = await nibble.open(files.files, { engine, signal: stopping.signal })
    const plan = await model.plan({ global: { dtype: 'int4' } })
    said.value = `${plan.report.totals.quantized} of ${plan.report.totals.tensors} tensors become int4`
    const onProgress = (done, total) => (bar.value = done / total)
    const [file] = await model.convert(plan, 'private', { onProgress, signal: stopping.signal })
    Object.assign(save, { href: URL.createObjectURL(file.blob), download: file.name, hidden: false })
  } catch (err) {
    said.value = err.message
  }
  files.disabled = false
}
