// ./build.sh bench kernels: each kernel as it runs natively, in Node, Chromium and Firefox,
// beside its generic twin, a plain copy and the same in C (kernels.c). Ratios are within one process: the C kernel,
// the twins and the copy take turns, and the best of the rounds counts. Writes build/bench/kernels.json.
//
//   node site/bench/kernels.mjs [--quick] [native|node|chromium|firefox ...]

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import puppeteer from 'puppeteer-core'
import { table } from './table.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const build = join(here, '..', '..', 'build')
const words = process.argv.slice(2)
const quick = words.includes('--quick')
const asked = words.filter(w => w !== '--quick')
const cases = [
  'symmetric-b32-f32',
  'symmetric-row-f32',
  'affine-b32-f32',
  'affine-row-f32',
  'int8-row-f32',
  'symmetric-b8-f32',
  'symmetric-b32-bf16',
  'affine-b32-bf16',
  'symmetric-b32-f16',
  'affine-b32-f16',
  'packed-b32-bf16',
  'minmax-b128-bf16',
  'mlx-b64-f32',
  'mlx-b64-bf16',
]
const ms = quick ? 25 : 60
const rounds = quick ? 3 : 7

/** Lines of the native programs, by case. */
function native() {
  const results = {}
  for (const name of cases) {
    const row = (results[name] = {})
    const take = (program, args) => {
      for (const line of execFileSync(join(build, program), args, { encoding: 'utf8' }).trim().split('\n')) {
        const [, twin, speed] = line.split(' ')
        if (twin) row[twin] = Math.max(row[twin] ?? 0, Number(speed))
      }
    }
    for (let round = 0; round < rounds; round++) {
      take('kernels-c', [String(ms), name])
      take('kernels', ['-ms', String(ms), '-rounds', '1', name])
    }
  }
  return results
}

const wasm = { go: join(build, 'kernels.wasm'), c: join(build, 'kernels-c.wasm') }

async function node() {
  const script = `
    const { readFileSync } = require('node:fs')
    const flags = ['O_WRONLY', 'O_RDWR', 'O_CREAT', 'O_TRUNC', 'O_APPEND', 'O_EXCL', 'O_DIRECTORY']
    const constants = Object.fromEntries(flags.map(flag => [flag, -1]))
    globalThis.fs = { constants, writeSync() {}, write() {} }
    require(${JSON.stringify(join(build, 'wasm_exec.js'))})
    require(${JSON.stringify(join(here, 'kernels-worker.js'))})
    const go = readFileSync(${JSON.stringify(wasm.go)}), c = readFileSync(${JSON.stringify(wasm.c)})
    globalThis.timeKernels({ go, c, cases: ${JSON.stringify(cases)}, ms: ${ms}, rounds: ${rounds} })
      .then(r => process.stdout.write(JSON.stringify(r)))`
  return JSON.parse(
    execFileSync(process.execPath, ['--input-type=commonjs', '-e', script], { encoding: 'utf8', maxBuffer: 1 << 24 }),
  )
}

async function browser(kind, executablePath) {
  const files = {
    '/': ['text/html', () => '<!doctype html>'],
    '/worker.js': ['text/javascript', () => readFileSync(join(here, 'kernels-worker.js'))],
    '/exec.js': ['text/javascript', () => readFileSync(join(build, 'wasm_exec.js'))],
    '/go.wasm': ['application/wasm', () => readFileSync(wasm.go)],
    '/c.wasm': ['application/wasm', () => readFileSync(wasm.c)],
  }
  const server = createServer((request, response) => {
    const file = files[request.url]
    if (!file) return response.writeHead(404).end()
    response.writeHead(200, { 'Content-Type': file[0] }).end(file[1]())
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const at = `http://127.0.0.1:${server.address().port}/`
  const tab = await puppeteer.launch({
    ...(kind === 'firefox'
      ? { browser: 'firefox' }
      : {
          args: [
            '--no-sandbox',
            '--disable-gpu',
            '--disable-background-networking',
            '--disable-sync',
            '--no-first-run',
          ],
        }),
    executablePath,
    headless: true,
    protocolTimeout: 600_000,
  })
  try {
    const page = await tab.newPage()
    await page.goto(at)
    const answer = await page.evaluate(
      job =>
        new Promise((resolve, reject) => {
          const worker = new Worker('/worker.js')
          worker.onmessage = e => resolve(e.data)
          worker.onerror = e => reject(new Error(e.message))
          worker.postMessage(job)
        }),
      { exec: '/exec.js', go: '/go.wasm', c: '/c.wasm', cases, ms, rounds },
    )
    if (answer.error) throw new Error(`${kind}: ${answer.error}`)
    return answer.results
  } finally {
    await tab.close()
    server.close()
  }
}

const places = { native, node }
if (process.env.NIBBLE_CHROMIUM) places.chromium = () => browser('chromium', process.env.NIBBLE_CHROMIUM)
if (process.env.NIBBLE_FIREFOX) places.firefox = () => browser('firefox', process.env.NIBBLE_FIREFOX)

const GB = n => (n === undefined ? '' : (n / 1e9).toFixed(2))
const ratio = (a, b) => (b === undefined ? '' : (a / b).toFixed(a / b < 9.95 ? 2 : 1))
const results = {}
console.log(`${cpus()[0].model}, ${cpus().length} cores; GB of weights a second on one thread, 2 MiB of them;`)
console.log('codes, errors and packing in one pass')
const print = table(-10, -20, 7, 9, 7, 7, 14, 8)
print('', 'kernel', 'SIMD', 'generic', 'C', 'copy', 'SIMD/generic', 'SIMD/C')
for (const [place, run] of Object.entries(places)) {
  if (asked.length > 0 && !asked.includes(place)) continue
  results[place] = await run()
  for (const [name, r] of Object.entries(results[place])) {
    const speeds = [r.simd, r.generic, r.c, r.copy].map(GB)
    print(place, name, ...speeds, ratio(r.simd, r.generic), ratio(r.simd, r.c))
  }
}
mkdirSync(join(build, 'bench'), { recursive: true })
writeFileSync(
  join(build, 'bench', 'kernels.json'),
  JSON.stringify({ machine: cpus()[0].model, cores: cpus().length, quick, bytesPerSecond: results }, null, 1),
)
