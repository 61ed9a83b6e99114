#!/usr/bin/env bash
# The one runner of Nibble. It needs Go 1.21 or newer and Node 20 or newer; everything
# else it fetches, pinned, or names in one line.
#
#   ./build.sh                  build the site into dist/ and the command into build/
#   ./build.sh serve [--port N] build, then serve dist/ on http://localhost:8080
#   ./build.sh generate         make what is generated: the page's types, of the core's, and the unrolled SIMD twins
#   ./build.sh format           format Go and TypeScript as check wants it
#   ./build.sh check            formatting, vet, types, that generating again changes nothing, and the command for
#                               macOS and Windows
#   ./build.sh test [core|wasm|race|page|firefox]
#                               every test (core, wasm, page, and a few of the core's under
#                               the race detector), or one part; race is all of the core's
#                               conversions under it, firefox the page's tests in Firefox
#   ./build.sh mutants [TEXT]   put faults into the executor and into verify, one at a time
#                               (those that TEXT is part of): each must be found
#   ./build.sh bench [kernels|page|peers|memory]
#                               every bench, or one: kernels [--quick] [native|node|chromium|
#                               firefox], page [GB...] [NAME...], peers [GB], memory [GB...];
#                               tables, and JSON in build/bench
#   ./build.sh fuzz [TIME]      run every fuzz target for a minute each, or for TIME
#   ./build.sh oracle [PART]    hold Nibble against the real tools in a Python environment (about 7 GB):
#                               the numbers of coremltools, safetensors and compressed-tensors
#                               (state-dicts, large, exports, configs, tied, conv1d, conversion,
#                               zero-blocks, layouts), what is read of thousands of odd files against torch
#                               (readers [CLASS]), what the layers of sixty models of
#                               transformers, timm and torchvision are taken for (classes [MODEL]), and what
#                               Transformers 4 and 5 and MLX (consumers [MODEL]) and vLLM (vllm [MODEL]) make of
#                               the folders
set -euo pipefail
cd "$(dirname "$0")"

export GOTOOLCHAIN=go1.27.3 GOEXPERIMENT=simd GOFLAGS=-buildvcs=false
export NIBBLE_BUILD="$PWD/build"

die() { echo "build.sh: $*" >&2; exit 1; }

need_go() {
  command -v go >/dev/null ||
    die "Go is missing: install Go 1.21 or newer (Debian: apt-get install -t bookworm-backports golang)"
  go version >/dev/null 2>&1 || die "Go could not fetch its toolchain $GOTOOLCHAIN: 'go version' says why"
}

need_node() {
  command -v node >/dev/null && command -v npm >/dev/null || die "Node and npm are missing: install Node 20 or newer"
  [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] ||
    die "Node $(node --version) is too old: install Node 20 or newer"
  # Installed again only when the lock file changes.
  if ! cmp -s site/package-lock.json site/node_modules/.nibble-lock; then
    (cd site && npm ci --no-audit --no-fund --loglevel=error) ||
      die "npm could not install the locked packages of site/"
    cp site/package-lock.json site/node_modules/.nibble-lock
  fi
}

# Installs a Debian package, where this is root on Debian.
apt_install() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } >&2 ||
    die "$* could not be installed"
}

# Prints the browser's path. As root on Debian it is installed when it is missing.
find_browser() {
  local names name
  case $1 in
    chromium) names="chromium chromium-browser google-chrome google-chrome-stable" ;;
    firefox-esr) names="firefox-esr firefox" ;;
  esac
  for name in $names; do command -v "$name" && return; done
  apt_install "$1"
  command -v "$1" && return
  die "no $1 is found: install it (Debian: apt-get install $1) and run this again"
}

build_command() {
  need_go
  mkdir -p build
  go build -trimpath -o build/nibble ./quant/cmd/nibble
}

build_site() {
  need_go
  need_node
  mkdir -p dist
  rm -rf dist/*
  GOOS=js GOARCH=wasm go build -trimpath -ldflags='-s -w -buildid=' -o dist/nibble.wasm ./wasm
  cp "$(go env GOROOT)/lib/wasm/wasm_exec.js" dist/
  go run ./quant/testkit/sample dist/sample-tiny-transformer.safetensors
  node site/build.mjs
  local wasm=dist/nibble.wasm
  echo "$wasm: $(wc -c <$wasm) bytes ($(gzip -9c $wasm | wc -c) gzipped)"
}

# What is generated: the page's types, of the core's, and the unrolled SIMD twins, of their template.
generate() {
  need_go
  go generate ./quant/...
}

# Fails when generating a file again would change it.
check_generated() {
  go run "./quant/testkit/$1" ${3:-} | cmp -s - "$2" ||
    die "$2 is not what quant/testkit/$1 makes: run ./build.sh generate"
}

# What prettier formats: all of the site that is not generated.
prettier_files='src/**/*.{ts,tsx} test/*.mjs bench/*.{mjs,js,ts} demo/*.js *.mjs !src/shared/protocol.ts'

format() {
  need_go
  need_node
  gofmt -w quant wasm
  (cd site && node_modules/.bin/prettier --write --log-level=warn $prettier_files)
}

check() {
  need_go
  need_node
  check_generated typescript site/src/shared/protocol.ts
  local file
  for file in quant/kernel/unrolled_*simd.go; do
    check_generated unroll "$file" "$(basename "$file") -"
  done
  local unformatted
  unformatted=$(gofmt -l quant wasm)
  [ -z "$unformatted" ] || die "gofmt wants to change: $unformatted"
  (cd site && node_modules/.bin/prettier --check --log-level=warn $prettier_files) ||
    die "prettier wants to change them: run ./build.sh format"
  go vet ./quant/...
  # The command for the systems that it is not tested on, its tests included.
  local system
  for system in darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do
    GOOS=${system%/*} GOARCH=${system#*/} go vet ./quant/cmd/... || die "the command does not pass go vet for $system"
    GOOS=${system%/*} GOARCH=${system#*/} go build -o /dev/null ./quant/cmd/nibble ||
      die "the command cannot be built for $system"
  done
  GOOS=js GOARCH=wasm go vet ./quant/... ./wasm
  (cd site && node_modules/.bin/tsc)
}

test_core() { need_go; go test ./quant/...; }

# As root on Debian it is installed when it is missing.
need_gcc() {
  command -v gcc >/dev/null || apt_install gcc libc6-dev
  command -v gcc >/dev/null ||
    die "gcc is missing, which Go's race detector needs (Debian: apt-get install gcc libc6-dev)"
}

race_tests='TestPool|TestTinyLimits|TestMany|TestSame|TestCancel|TestKeepUnfit|TestMeasur|TestTied|TestWeightsLarger'

# The core's conversions under Go's race detector: those of a pattern, with so many random cases.
test_race() {
  need_go
  need_gcc
  CGO_ENABLED=1 NIBBLE_CASES=$1 go test -race -run "$2" ./quant
}

# The core's tests once more as wasm, in Go's own Node runner. The command has no place
# there: scripts start processes.
test_wasm() {
  need_go
  need_node
  GOOS=js GOARCH=wasm go test -exec="$(go env GOROOT)/lib/wasm/go_js_wasm_exec" $(go list ./quant/... | grep -v /cmd/)
  # That runner asks for a stack larger than a browser's; what recurses runs without, too.
  mkdir -p build
  GOOS=js GOARCH=wasm go test -c -o build/pattern.wasm ./quant/pattern
  (cd quant/pattern && node "$(go env GOROOT)/lib/wasm/wasm_exec_node.js" "$NIBBLE_BUILD/pattern.wasm" -test.run Deep)
}

# NIBBLE_BROWSER and NIBBLE_BROWSER_KIND say what the tests drive.
test_page() {
  local browser
  browser=$(find_browser "$1")
  rm -rf build/broken
  go run ./quant/testkit/broken/write build/broken
  NIBBLE_BROWSER=$browser NIBBLE_BROWSER_KIND=${1%-esr} \
    node --test --test-timeout=240000 --test-reporter=spec site/test/*.test.mjs
}

# As root on Debian they are installed when they are missing.
need_clang() {
  command -v clang >/dev/null && command -v wasm-ld >/dev/null || apt_install clang lld
  command -v clang >/dev/null && command -v wasm-ld >/dev/null ||
    die "clang and wasm-ld are missing, with which the kernels are built in C (Debian: apt-get install clang lld)"
}

# The kernels as programs: in Go and in C, each natively and as wasm.
build_kernels() {
  need_go
  need_node
  need_clang
  mkdir -p build
  rm -f build/kernels-c build/kernels-c.wasm
  go build -trimpath -o build/kernels ./quant/testkit/kernels
  GOOS=js GOARCH=wasm go build -trimpath -ldflags='-s -w' -o build/kernels.wasm ./quant/testkit/kernels
  cp "$(go env GOROOT)/lib/wasm/wasm_exec.js" build/
  local strict="-O3 -ffp-contract=off"
  clang $strict -march=native -o build/kernels-c site/bench/kernels.c
  clang $strict --target=wasm32 -msimd128 -nostdlib -Wl,--no-entry -Wl,--export-dynamic \
    -o build/kernels-c.wasm site/bench/kernels.c
}

# Both browsers, the command and the page, for the benches that need them.
bench_with() {
  build_command
  build_site
  NIBBLE_CHROMIUM=$(find_browser chromium) NIBBLE_FIREFOX=$(find_browser firefox-esr) node "site/bench/$1.mjs" "${@:2}"
}

bench_kernels() {
  build_kernels
  local firefox
  case " $* " in
    *" --quick "*) firefox=$(command -v firefox-esr || true) ;;
    *) firefox=$(find_browser firefox-esr) ;;
  esac
  NIBBLE_CHROMIUM=$(find_browser chromium) NIBBLE_FIREFOX=$firefox node site/bench/kernels.mjs "$@"
}

bench_peers() {
  oracle_env
  build_kernels
  bench_with peers "$ORACLE/bin/python" "$@"
}

# Each fuzz target for a minute, or for as long as is asked.
fuzz() {
  need_go
  local package target
  while read -r package target; do
    echo "== $target in $package"
    go test -run='^$' -fuzz="^$target\$" -fuzztime="$1" -fuzzminimizetime=5x "$package"
  done < <(grep -rl '^func Fuzz' quant --include='*_test.go' | sort | while read -r file; do
    sed -n "s|^func \(Fuzz[A-Za-z0-9]*\)(.*|./$(dirname "$file") \1|p" "$file"
  done)
}

# What ./build.sh oracle runs.
. quant/testkit/oracle/run.sh

case ${1:-build} in
  build) build_command; build_site ;;
  serve)
    port=8080
    case ${2:-} in
      '') ;;
      --port) port=${3:?--port takes a number} ;;
      --port=*) port=${2#--port=} ;;
      *) die "serve takes only --port N" ;;
    esac
    build_site
    exec node site/serve.mjs "$port" ;;
  generate) generate ;;
  format) format ;;
  check) check ;;
  test)
    case ${2:-all} in
      all)
        check
        test_core
        test_race 150 '^(TestPool|TestTinyLimits|TestManySmall)'
        test_wasm
        build_command
        build_site
        test_page chromium ;;
      core) test_core ;;
      wasm) test_wasm ;;
      race)
        test_race 2000 "^($race_tests)" ;;
      page) build_command; build_site; test_page chromium ;;
      firefox) build_command; build_site; test_page firefox-esr ;;
      *) die "test takes core, wasm, race, page or firefox" ;;
    esac ;;
  bench)
    case ${2:-all} in
      all) bench_kernels; bench_with page; bench_peers; bench_with memory ;;
      kernels) bench_kernels "${@:3}" ;;
      page) bench_with page "${@:3}" ;;
      peers) bench_peers "${@:3}" ;;
      memory) bench_with memory "${@:3}" ;;
      *) die "bench takes kernels, page, peers or memory" ;;
    esac ;;
  mutants) need_go; need_gcc; go run ./quant/testkit/mutants "${@:2}" ;;
  fuzz) fuzz "${2:-60s}" ;;
  oracle) build_command; oracle "${@:2}" ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
esac
