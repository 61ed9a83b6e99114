// Bundles the page and the library into dist/ beside the wasm that build.sh put there, and stamps
// every address with one hash of all of it, so that no browser mixes two builds.

import { build } from 'esbuild'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { notice } from './notice.mjs'

const site = dirname(fileURLToPath(import.meta.url))
const dist = join(site, '..', 'dist')
const src = name => join(site, 'src', name)
const common = {
  bundle: true,
  minify: true,
  target: ['chrome111', 'firefox111', 'safari16.4'],
  legalComments: 'none',
  metafile: true,
  outdir: dist,
}

/** The page takes the library as any other site does: from nibble.js beside it. */
const libraryOutside = stamp => ({
  name: 'library-outside',
  setup(b) {
    b.onResolve({ filter: /\/library\/nibble$/ }, () => ({ path: `./nibble.js?v=${stamp}`, external: true }))
  },
})

/** Makes the bundles; resolves to what esbuild says each is made of. */
async function bundle(stamp) {
  const define = { BUILD: JSON.stringify(stamp) }
  const worker = await build({ ...common, define, format: 'iife', entryPoints: { worker: src('worker/worker.ts') } })
  const library = await build({ ...common, define, format: 'esm', entryPoints: { nibble: src('library/nibble.ts') } })
  const page = await build({
    ...common,
    format: 'esm',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    plugins: [libraryOutside(stamp)],
    entryPoints: { app: src('page/main.tsx') },
  })
  const style = await build({ ...common, entryPoints: { app: src('page/style.css') } })
  return [worker, library, page, style].map(b => b.metafile)
}

/** The library's types: nibble.d.ts, and what it names in types/. */
function types() {
  const out = join(dist, 'types')
  rmSync(out, { recursive: true, force: true })
  execFileSync(join(site, 'node_modules/.bin/tsc'), ['--project', join(site, 'tsconfig.types.json'), '--outDir', out])
  // With their endings, which TypeScript asks for in some projects, the names are right in all.
  for (const name of readdirSync(out, { recursive: true }).filter(name => name.endsWith('.d.ts'))) {
    const text = readFileSync(join(out, name), 'utf8')
    writeFileSync(join(out, name), text.replace(/(from |import\()(['"])(\.\.?\/[^'"]+?)(?:\.js)?\2/g, '$1$2$3.js$2'))
  }
  writeFileSync(
    join(dist, 'nibble.d.ts'),
    `/** The types of nibble.js; docs/library.md is its manual. */\nexport * from './types/library/nibble.js'\n`,
  )
}

await bundle('')
const hash = createHash('sha256')
const stamped = ['app.js', 'nibble.js', 'worker.js', 'app.css', 'wasm_exec.js', 'nibble.wasm']
for (const name of stamped) hash.update(readFileSync(join(dist, name)))
const stamp = hash.digest('hex').slice(0, 12)
const metafiles = await bundle(stamp)
types()
const page = readFileSync(join(site, '..', 'index.html'), 'utf8').replaceAll('__BUILD__', stamp)
writeFileSync(join(dist, 'index.html'), page)
copyFileSync(join(site, 'icon.svg'), join(dist, 'icon.svg'))
writeFileSync(join(dist, 'NOTICE.txt'), notice(metafiles))
