// Times the kernels where it runs: in a worker of a browser, or in Node (kernels.mjs loads
// it there). The Go program is run once per case, with its output caught; the C kernels, where
// there are some, are called from here, before and after.
/* global Go */

globalThis.timeKernels = async function ({ go, c, cases, ms, rounds }) {
  const module = await WebAssembly.compile(go)
  const kernels = c && (await WebAssembly.instantiate(c)).instance.exports
  const bytes = 2 << 20
  const results = {}
  for (const name of cases) {
    const row = (results[name] = {})
    const f = kernels?.[name.replaceAll('-', '_')]
    const weights = bytes / (name.endsWith('f32') ? 4 : 2)
    const timeC = () => {
      if (!f) return
      f(weights)
      const began = performance.now()
      let times = 0
      do {
        f(weights)
        times++
      } while (performance.now() - began < ms)
      row.c = Math.max(row.c ?? 0, ((bytes * times) / (performance.now() - began)) * 1000)
    }
    if (f) kernels.prepare(name.endsWith('bf16') ? 1 : name.endsWith('f16') ? 2 : 0, weights)
    for (let round = 0; round < rounds; round++) {
      timeC()
      for (const [twin, speed] of await runGo(module, ['-ms', String(ms), '-rounds', '1', name]))
        row[twin] = Math.max(row[twin] ?? 0, speed)
    }
  }
  return results
}

async function runGo(module, args) {
  const go = new Go()
  let said = ''
  const decoder = new TextDecoder()
  globalThis.fs.writeSync = (_fd, b) => {
    said += decoder.decode(b)
    return b.length
  }
  globalThis.fs.write = (_fd, b, from, length, _at, done) => {
    said += decoder.decode(b.subarray(from, from + length))
    done(null, length)
  }
  go.argv = ['kernels', ...args]
  await go.run(await WebAssembly.instantiate(module, go.importObject))
  return said
    .trim()
    .split('\n')
    .map(line => line.split(' '))
    .map(([, twin, speed]) => [twin, Number(speed)])
}

if (typeof importScripts === 'function') {
  onmessage = async ({ data }) => {
    importScripts(data.exec)
    const wasm = async url => url && (await fetch(url)).arrayBuffer()
    try {
      postMessage({
        results: await globalThis.timeKernels({ ...data, go: await wasm(data.go), c: await wasm(data.c) }),
      })
    } catch (err) {
      postMessage({ error: String(err) })
    }
  }
}
