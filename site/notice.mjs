// The licences of all that is in dist/: what the wasm is linked of, and what is bundled into the page.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** The files of a folder that say its licence, as one text. */
function licenceOf(folder) {
  const names = readdirSync(folder)
    .filter(name => /^(licen[cs]e|notice|copying|patents)(\.\w+)?$/i.test(name))
    .sort()
  if (!names.some(name => /^(licen[cs]e|copying)/i.test(name))) throw new Error(`${folder} has no licence`)
  return names.map(name => readFileSync(join(folder, name), 'utf8').trim()).join('\n\n')
}

const go = (...args) =>
  execFileSync('go', args, { cwd: root, encoding: 'utf8', env: { ...process.env, GOOS: 'js', GOARCH: 'wasm' } })

/** The Go modules of the wasm: name and version -> folder. */
function goModules() {
  const format = '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}'
  const lines = go('list', '-deps', '-f', format, './wasm').split('\n').filter(Boolean)
  return Object.fromEntries([...new Set(lines)].sort().map(line => line.split('\t')))
}

/** The npm packages of bundles, by esbuild's metafiles: name and version -> folder. */
function npmPackages(metafiles) {
  const found = new Map()
  for (const path of metafiles.flatMap(m => Object.keys(m.inputs))) {
    const name = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]
    if (!name) continue
    const folder = join(root, 'site/node_modules', name)
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    found.set(`${name} ${version}`, folder)
  }
  return Object.fromEntries([...found].sort())
}

/** NOTICE.txt: the licence of each, under a line that names it. */
export function notice(metafiles) {
  const goroot = go('env', 'GOROOT').trim()
  if (!existsSync(join(goroot, 'LICENSE'))) throw new Error(`${goroot} has no licence`)
  const parts = {
    'Nibble, whose licence is the Apache License 2.0': root,
    [`Go, of which the runtime, the standard library and wasm_exec.js are (${go('env', 'GOVERSION').trim()})`]: goroot,
    ...goModules(),
    ...npmPackages(metafiles),
  }
  const texts = Object.entries(parts).map(
    ([name, folder]) => `${name}\n${'='.repeat(name.length)}\n\n${licenceOf(folder)}\n`,
  )
  return `What is in this folder is made of these works, under their licences.\n\n\n${texts.join('\n\n')}`
}
