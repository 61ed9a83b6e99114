// ./build.sh bench memory: peak resident memory against the size of the checkpoint, for the
// command and for the process that runs the page, with the page's own way of saving. A
// browser is started anew for each conversion. Peaks are VmHWM of /proc, so this runs on
// Linux only. Writes build/bench/memory.json.
//
//   node site/bench/memory.mjs [GIGABYTES...]      0.25, 1, 4 and 12 when none are given

import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serve } from '../serve.mjs'
import { browsers, convertModel, dropModel, makeModel, peak, root, withBrowser } from './browser.mjs'
import { table } from './table.mjs'

const sizes = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [0.25, 1, 4, 12]
const layouts = [
  { name: 'shards f32', dtype: 'f32', file: 'model' },
  { name: 'shards bf16', dtype: 'bf16', file: 'model' },
  { name: '.pt f32', dtype: 'f32', file: 'model.pt' },
]
const MB = n => Math.round(n / 1e6)

/** The command's peak. */
async function native(source, folder) {
  const out = join(folder, 'out')
  const began = performance.now()
  const child = spawn(join(root, 'build/nibble'), ['convert', source, '-o', out, '--force'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  let most = 0
  const timer = setInterval(() => {
    most = Math.max(most, peak(child.pid))
  }, 5)
  const code = await new Promise(resolve => child.on('exit', resolve))
  clearInterval(timer)
  if (code !== 0) throw new Error(`nibble convert ${source} ended with ${code}`)
  const seconds = (performance.now() - began) / 1000
  rmSync(out, { recursive: true })
  return { peak: most, seconds }
}

const folder = mkdtempSync(join(process.env.NIBBLE_BENCH ?? tmpdir(), 'nibble-bench-'))
const server = await serve(join(root, 'dist'), 0)
const site = `http://localhost:${server.address().port}/`

/** The peak of the page's process, and of the browser's own. */
const page = (kind, path, source) =>
  withBrowser(kind, path, async (tab, look) => {
    await dropModel(tab, site, source)
    const seconds = (await convertModel(tab)) / 1000
    const { page, browser } = look()
    return { peak: page, browser, seconds }
  })

const rows = []
try {
  const print = table(-14, 6, 11, ...browsers.map(() => 14), -3, -9)
  print('checkpoint', 'GB', 'native MB', ...browsers.map(([k]) => `${k} MB`), '', 'seconds')
  for (const layout of layouts) {
    for (const size of sizes) {
      const source = join(folder, layout.file)
      makeModel(source, size, layout.dtype)
      const row = { layout: layout.name, gigabytes: size, native: await native(source, folder) }
      for (const [kind, path] of browsers) row[kind] = await page(kind, path, source)
      rmSync(source, { recursive: true })
      rows.push(row)
      const cells = ['native', ...browsers.map(([k]) => k)].map(k => row[k])
      const peaks = cells.map(c => MB(c.peak))
      print(row.layout, size, ...peaks, '', cells.map(c => c.seconds.toFixed(1)).join(' '))
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
  server.close()
}
mkdirSync(join(root, 'build/bench'), { recursive: true })
writeFileSync(join(root, 'build/bench/memory.json'), JSON.stringify(rows, null, 1))
