// Bundles the page into dist/ beside the wasm that build.sh put there, and stamps
// every address with one hash of all of it, so that no browser mixes two builds.

import { build } from 'esbuild'
import { createHash } from 'node:crypto'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const site = dirname(fileURLToPath(import.meta.url))
const dist = join(site, '..', 'dist')
const common = {
  bundle: true,
  minify: true,
  target: ['chrome111', 'firefox111', 'safari16.4'],
  legalComments: 'none',
  outdir: dist,
}
const src = name => join(site, 'src', name)

async function bundle(stamp) {
  const define = { BUILD: JSON.stringify(stamp) }
  await build({ ...common, define, format: 'iife', entryPoints: { worker: src('worker/worker.ts') } })
  await build({
    ...common,
    define,
    format: 'esm',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    entryPoints: { app: src('page/main.tsx') },
  })
  await build({ ...common, entryPoints: { app: src('page/style.css') } })
}

await bundle('')
const hash = createHash('sha256')
for (const name of ['app.js', 'worker.js', 'app.css', 'wasm_exec.js', 'nibble.wasm'])
  hash.update(readFileSync(join(dist, name)))
const stamp = hash.digest('hex').slice(0, 12)
await bundle(stamp)
writeFileSync(
  join(dist, 'index.html'),
  readFileSync(join(site, '..', 'index.html'), 'utf8').replaceAll('__BUILD__', stamp),
)
copyFileSync(join(site, 'icon.svg'), join(dist, 'icon.svg'))
