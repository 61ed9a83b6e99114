// ./build.sh bench page: whole conversions by the page, the report's figures included,
// against reading the same file by the same page and doing nothing with it. Both are done in
// turn, in the same tab; medians. Writes build/bench/page.json.
//
//   node site/bench/page.mjs [GIGABYTES...] [PART OF A NAME...]
//
// 1 and 4 GB when no size is given; words leave only the browsers, dtypes and recipes that
// one of them is part of. At the end, from drop to plan, for 1,000 tensors of the last size,
// against reading a fiftieth of them.

import { build } from 'esbuild'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { serve } from '../serve.mjs'
import {
  browsers,
  chooseConfig,
  convertModel,
  dropAnother,
  dropModel,
  id,
  makeModel,
  median,
  root,
  withBrowser,
} from './browser.mjs'
import { table } from './table.mjs'

const recipes = {
  'int4 block 32': { weight_dtype: 'int4', granularity: 'per_block', block_size: 32 },
  'uint4 affine block 32': {
    weight_dtype: 'uint4',
    granularity: 'per_block',
    block_size: 32,
    quantization_scheme: 'affine',
  },
  'int4 per channel': { weight_dtype: 'int4', granularity: 'per_channel' },
  'int8 per channel': { weight_dtype: 'int8', granularity: 'per_channel' },
  'int4 per tensor': { weight_dtype: 'int4', granularity: 'per_tensor' },
}
const rounds = Number(process.env.NIBBLE_ROUNDS ?? 5)
const words = process.argv.slice(2)
const sizes = words.filter(w => w > 0).map(Number)
if (sizes.length === 0) sizes.push(1, 4)
/** Whether the words ask for one of some names, or for none of them. */
const asked = (name, all) => {
  const about = words.filter(w => !(w > 0) && all.some(n => n.includes(w)))
  return about.length === 0 || about.some(w => name.includes(w))
}

const reader = (
  await build({
    entryPoints: [join(root, 'site/bench/read.ts')],
    bundle: true,
    write: false,
    format: 'iife',
    target: 'es2022',
  })
).outputFiles[0].text

/** The milliseconds that reading the file takes, by as many workers as convert it. */
const read = tab =>
  tab.evaluate(
    async (source, workers) => {
      const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
      const file = globalThis.dropped.find(f => f.size > 1e6)
      const began = performance.now()
      const n = Number(document.querySelector(workers).value)
      await Promise.all(
        Array.from(
          { length: n },
          (_, i) =>
            new Promise((resolve, reject) => {
              const worker = new Worker(url)
              worker.onmessage = ({ data }) => {
                worker.terminate()
                data === 'done' ? resolve() : reject(new Error(data))
              }
              worker.onerror = e => reject(new Error(e.message))
              worker.postMessage({ file, worker: i, workers: n, tile: 2 << 20, ahead: 2 })
            }),
        ),
      )
      return performance.now() - began
    },
    reader,
    id('workers'),
  )

/** From drop to plan: on a fresh page, on one whose visitor has just opened the file chooser, and with a model open. */
async function plans(size) {
  console.log('')
  const print = table(-10, -26, 9, 10, 7, -3, -20)
  print('browser', 'file', 'fresh', 'expected', 'again', '', '2 % of reading, ms')
  for (const [form, name] of [
    ['one .pt', 'many.pt'],
    ['safetensors, shards', 'many'],
  ]) {
    const source = join(folder, name)
    makeModel(source, size, 'f32', 704)
    for (const [kind, path] of browsers.filter(([k], _, all) =>
      asked(
        k,
        all.map(([n]) => n),
      ),
    )) {
      const row = await withBrowser(kind, path, async tab => {
        const fresh = await dropModel(tab, site, source)
        const again = []
        for (let round = 0; round < rounds; round++) again.push(await dropAnother(tab, source))
        const bytes = await tab.evaluate(() => globalThis.dropped.reduce((n, f) => n + f.size, 0))
        const largest = await tab.evaluate(() => Math.max(...globalThis.dropped.map(f => f.size)))
        const reading = []
        for (let round = 0; round < rounds; round++) reading.push(((await read(tab)) * bytes) / largest / 50)
        await tab.goto(site)
        const chooser = await tab.waitForSelector(id('file-input'))
        await chooser.evaluate(e => e.dispatchEvent(new PointerEvent('pointerdown', { bubbles: true })))
        await new Promise(resolve => setTimeout(resolve, 2000))
        return { fresh, expected: await dropAnother(tab, source), again: median(again), reading: median(reading) }
      })
      rows.push({ browser: kind, plan: form, gigabytes: size, ...row })
      const [fresh, expected, again, reading] = [row.fresh, row.expected, row.again, row.reading].map(n => n.toFixed(0))
      print(kind, `f32 ${size} GB, ${form}`, fresh, expected, again, '', reading)
    }
    rmSync(source, { recursive: true })
  }
}

const folder = mkdtempSync(join(process.env.NIBBLE_BENCH ?? tmpdir(), 'nibble-bench-'))
const server = await serve(join(root, 'dist'), 0)
const site = `http://localhost:${server.address().port}/`
const rows = []
try {
  console.log(`${cpus()[0].model}, ${cpus().length} cores; the file lies in memory`)
  const print = table(-10, -12, -24, 7, 11, 7, 7, 9, -3, -12)
  print('browser', 'file', 'recipe', 'read s', 'convert s', 'ratio', 'GB/s', 'peak MB', '', 'plan after')
  for (const dtype of ['f32', 'bf16'].filter((d, _, all) => asked(d, all))) {
    for (const size of sizes) {
      const source = join(folder, 'model.pt')
      makeModel(source, size, dtype)
      const bytes = statSync(source).size
      for (const [kind, path] of browsers.filter(([k], _, all) =>
        asked(
          k,
          all.map(([n]) => n),
        ),
      )) {
        for (const [name, config] of Object.entries(recipes).filter(([n]) => asked(n, Object.keys(recipes)))) {
          const row = await withBrowser(kind, path, async (tab, look) => {
            const plan = await dropModel(tab, site, source)
            await chooseConfig(tab, { global_config: config })
            const readMs = [],
              convertMs = []
            for (let round = 0; round < rounds; round++) {
              readMs.push(await read(tab))
              convertMs.push(await convertModel(tab))
            }
            return {
              plan,
              read: median(readMs),
              convert: median(convertMs),
              readAll: readMs,
              convertAll: convertMs,
              peak: look().page,
            }
          })
          rows.push({
            browser: kind,
            dtype,
            gigabytes: size,
            bytes,
            recipe: name,
            ratio: row.convert / row.read,
            ...row,
          })
          const figures = [row.read / 1000, row.convert / 1000, row.convert / row.read, bytes / row.convert / 1e6]
          const [file, peak] = [`${dtype} ${size} GB`, Math.round(row.peak / 1e6)]
          print(kind, file, name, ...figures.map(n => n.toFixed(2)), peak, '', `${Math.round(row.plan)} ms`)
        }
      }
      rmSync(source)
    }
  }
  if (words.every(w => w > 0 || w === 'plan' || browsers.some(([k]) => k === w))) await plans(sizes.at(-1))
} finally {
  rmSync(folder, { recursive: true, force: true })
  server.close()
}
mkdirSync(join(root, 'build/bench'), { recursive: true })
writeFileSync(
  join(root, 'build/bench/page.json'),
  JSON.stringify({ machine: cpus()[0].model, cores: cpus().length, rows }, null, 1),
)
