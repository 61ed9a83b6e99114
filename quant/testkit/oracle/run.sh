# The oracle of ./build.sh, which sources this: Python environments with the real tools, and what is held against them.

# Prints the path of the environment of a list of packages, and makes it first where it is missing. With a second path
# it lies over that environment: what both have is its own, and packages come without what they depend on.
environment() {
  local list=quant/testkit/oracle/$1.txt name=oracle env site
  [ "$1" = requirements ] || name=oracle-$1
  command -v python3 >/dev/null ||
    die "Python is missing: install Python 3.11 with venv (Debian: apt-get install python3-venv)"
  env="${XDG_CACHE_HOME:-$HOME/.cache}/nibble/$name-$(sha256sum "$list" | cut -c1-12)"
  if [ ! -e "$env/ready" ]; then
    python3 -m venv "$env" >&2 || die "Python's venv is missing (Debian: apt-get install python3-venv)"
    if [ -n "${2:-}" ]; then
      site='import site; print(site.getsitepackages()[0])'
      "$2/bin/python" -c "$site" >"$("$env/bin/python" -c "$site")/oracle.pth"
    fi
    [ "$1" = requirements ] && set -- "$1" || set -- "$1" --no-deps
    "$env/bin/pip" install --disable-pip-version-check ${2:-} -r "$list" >&2
    touch "$env/ready"
  fi
  echo "$env"
}

# The environment with torch, coremltools and what belongs to them, in $ORACLE.
oracle_env() { ORACLE=$(environment requirements); }

# What torch and safetensors read of thousands of files with one thing changed, and what Nibble does.
oracle_readers() {
  mkdir -p build
  go build -trimpath -o build/readers ./quant/testkit/readers
  "$ORACLE/bin/python" quant/testkit/oracle/readers.py "$NIBBLE_BUILD/readers" "$@"
}

# What the layers of real models are taken for, against Python's own classes.
oracle_classes() { "$ORACLE/bin/python" quant/testkit/oracle/classes.py "$PWD/build/nibble" "$@"; }

# Who opens Nibble's folders, in an environment: a part of consumers.py.
consumers() { "$1/bin/python" quant/testkit/oracle/consumers.py "$PWD/build/nibble" "${@:2}"; }

# MLX, and Transformers 5 with compressed-tensors, in an environment over the oracle's; Transformers 4 in another.
oracle_consumers() {
  local five four
  five=$(environment consumers "$ORACLE")
  four=$(environment consumers4 "$ORACLE")
  consumers "$five" models
  consumers "$five" mlx "$@"
  consumers "$five" transformers "$@"
  consumers "$four" transformers "$@"
}

# vLLM on the CPU, in an environment of its own (6 GB).
oracle_vllm() {
  local env
  env=$(environment consumers-vllm)
  consumers "$ORACLE" models
  consumers "$env" vllm "$@"
}

oracle_numbers() { "$ORACLE/bin/python" quant/testkit/oracle/oracle.py "$PWD/build/nibble" "$@"; }

oracle() {
  oracle_env
  case ${1:-all} in
    all) oracle_numbers; oracle_readers; oracle_classes; oracle_consumers; oracle_vllm ;;
    readers) oracle_readers "${@:2}" ;;
    classes) oracle_classes "${@:2}" ;;
    consumers) oracle_consumers "${@:2}" ;;
    vllm) oracle_vllm "${@:2}" ;;
    *) oracle_numbers "$1" ;;
  esac
}
