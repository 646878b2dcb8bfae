#!/usr/bin/env bash
# Builds, checks and times nnx on a machine with an NVIDIA GPU: everything that a machine without one cannot say.
# No network is needed. Each stage runs alone, within a time limit of its own; one that fails stops no other.
# Usage: bench/gpu.sh [OPTION ...] [STAGE ...] [-- ARGUMENT ...]
#
# Stages (without any: all of them, in this order):
#   build      CMake, for the GPU of this machine alone, into build/gpu and python/nnx
#   parity     gpu_kernels.py, then the tests on the device
#   memcheck racecheck initcheck synccheck
#              gpu_kernels.py under compute-sanitizer
#   gemm       matrix products beside cuBLAS
#   train      training steps beside PyTorch, without torch.compile
#   epoch      an epoch of Fashion-MNIST from call to return, beside PyTorch's DataLoader
#   profile    the kernels of a step; with ncu and nsys where they are installed
#   compile    the most important rows of `train` with torch.compile, which takes minutes
#
# Options:
#   --out DIR        where results go; default: bench/results/gpu-<date>
#   --limit SECONDS  of each stage; default: 480
#   --total SECONDS  of all together; what is left of it cuts the limit
#   --tar FILE       packs the results into FILE, anew after each stage
# What follows -- goes to the stage's program, or to pytest: bench/gpu.sh train -- --rows AlexNet
#
# Environment: PYTHON, CUDACXX, JOBS, NNX_CUDA_ARCHITECTURES, NNX_CPU_ISAS.
# The exit code is 0 where no stage failed; one whose tool is not installed is skipped, and says so.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

STAGES=(build parity memcheck racecheck initcheck synccheck gemm train epoch profile compile)
SKIPPED=77

usage() { sed -n '2,/^set -uo/{/^set/d;s/^# \{0,1\}//;p;}' bench/gpu.sh; }
die() { printf 'gpu.sh: %s\n' "$*" >&2 && exit 2; }
skip() { printf 'skipped: %s\n' "$*" && exit "$SKIPPED"; }
has_module() { "$PYTHON" -c "import $1" 2>/dev/null; }

# A tool of the CUDA toolkit: on the PATH, beside nvcc, or where the toolkit is usually put.
tool() {
  local place
  for place in "$(command -v "$1")" "$(dirname "${CUDACXX:-/nowhere/nvcc}")/$1" /usr/local/cuda/bin/"$1" \
    /usr/local/cuda-*/bin/"$1"; do
    if [ -x "$place" ]; then printf '%s\n' "$place" && return 0; fi
  done
  return 1
}

architecture() {
  local found
  found=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d '. ')
  if ! [[ $found =~ ^[0-9]+$ ]]; then
    found=$("$PYTHON" -c 'import torch; print("%d%d" % torch.cuda.get_device_capability())' 2>/dev/null)
  fi
  if [[ $found =~ ^[0-9]+$ ]]; then printf '%s-real\n' "$found"; else printf 'native\n'; fi
}

# What stage_build makes comes before an nnx that is installed.
prefer_build() {
  local made=(python/nnx/_core*.so)
  if [ -e "${made[0]}" ]; then export PYTHONPATH="$PWD/python${PYTHONPATH:+:$PYTHONPATH}"; fi
}

cpu_kernels() {
  if grep -qw avx512bw /proc/cpuinfo; then
    echo avx512
  elif grep -qw avx2 /proc/cpuinfo; then
    echo avx2
  else
    echo baseline
  fi
}

stage_build() {
  local missing=() nvcc generator=() name
  nvcc=${CUDACXX:-$(tool nvcc)} || missing+=("nvcc")
  command -v cmake >/dev/null || missing+=("cmake")
  for name in pybind11 numpy tqdm safetensors; do has_module "$name" || missing+=("$name (Python)"); done
  if [ ${#missing[@]} -gt 0 ]; then printf 'missing: %s\n' "${missing[@]}" && return 1; fi
  command -v ninja >/dev/null && generator=(-G Ninja)
  cmake -S . -B build/gpu "${generator[@]}" -DNNX_CUDA=ON \
    -DNNX_CUDA_ARCHITECTURES="${NNX_CUDA_ARCHITECTURES:-$(architecture)}" \
    -DNNX_CPU_ISAS="${NNX_CPU_ISAS:-$(cpu_kernels)}" -DCMAKE_CUDA_COMPILER="$nvcc" \
    -DPython_EXECUTABLE="$(command -v "$PYTHON")" -Dpybind11_DIR="$("$PYTHON" -m pybind11 --cmakedir)" \
    -DSKBUILD_PROJECT_VERSION="$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)" \
    -DCMAKE_CUDA_FLAGS=-lineinfo -DCMAKE_LIBRARY_OUTPUT_DIRECTORY="$PWD/python/nnx" "$@" || return 1
  cmake --build build/gpu -j "$JOBS" || return 1
  prefer_build
  # What the compiler made of them is told, and decides nothing here.
  local found
  found=$(architecture)
  if [[ $found =~ ^[0-9]+ ]]; then
    "$PYTHON" bench/gpu_code.py --architecture "sm_${BASH_REMATCH[0]}" --output "$OUT" || echo "gpu_code.py ended with $?"
  fi
  "$PYTHON" - <<'PYTHON'
import sys
import nnx

print(nnx.info())
sys.exit(0 if nnx.cuda.is_available() and not nnx.cuda.is_emulated() else 1)
PYTHON
}

stage_parity() {
  local status=0 options=(-q --tb=short -p no:cacheprovider) models=() name
  "$PYTHON" bench/gpu_kernels.py || status=1
  for name in pytest hypothesis; do
    if ! has_module "$name"; then
      echo "$name is not installed: gpu_kernels.py above was all of the parity suite that can run here"
      return "$status"
    fi
  done
  has_module xdist && options+=(-n "$((JOBS < 8 ? JOBS : 8))")
  has_module pytest_timeout && options+=(--timeout 120)
  for name in tests/test_cuda*.py tests/test_{training,model_gradients,gradients,extremes,determinism}.py; do
    if [ -e "$name" ]; then models+=("$name"); fi
  done
  echo "== the ops on the device"
  "$PYTHON" -m pytest "${options[@]}" -k cuda tests/ops tests/test_tensor.py "$@" || status=1
  echo "== models and trainings, whose device is the GPU where there is one"
  "$PYTHON" -m pytest "${options[@]}" "${models[@]}" "$@" || status=1
  return "$status"
}

sanitize() {
  local checker name=$1
  shift
  checker=$(tool compute-sanitizer) || skip "compute-sanitizer is not installed"
  # Large products' way is taken by small ones too; every array is an allocation of the driver's, whose ends it knows.
  NNX_CUDA_ROUND_ONCE=always NNX_CUDA_CACHE=0 "$checker" --tool "$name" --error-exitcode 99 --print-limit 50 "${EXTRA[@]}" "$PYTHON" bench/gpu_kernels.py "$@"
}
stage_memcheck() { EXTRA=(--padding 64) && sanitize memcheck "$@"; }
stage_racecheck() { EXTRA=(--racecheck-report all) && sanitize racecheck --rows float32 tf32 bfloat16 "$@"; }
stage_initcheck() { EXTRA=() && sanitize initcheck --rows float32 tf32 bfloat16 "$@"; }
stage_synccheck() { EXTRA=() && sanitize synccheck --rows float32 tf32 bfloat16 "$@"; }

timed() { "$PYTHON" "bench/gpu_$1.py" --output "$OUT" --resume "${@:2}"; }
stage_gemm() { timed gemm "$@"; }
stage_train() { timed train_step --no-compile "$@"; }
stage_epoch() { timed epoch "$@"; }
stage_compile() {
  timed train_step --budget "$((LIMIT * 3 / 4))" --compile-seconds 75 --rows "LeNet, batch 128" AlexNet "$@"
}

stage_profile() {
  local status=0 profiler row precision file
  if has_module torch; then
    timed profile "$@" || status=1
  else
    echo "PyTorch is not installed: no table of kernels"
  fi
  local plain=("$PYTHON" bench/gpu_profile.py --plain)
  if profiler=$(tool ncu); then
    for row in "LeNet, batch 128" AlexNet; do
      for precision in float32 bfloat16; do
        file=$OUT/ncu-${row%%,*}-$precision.csv
        echo "== ncu: $row, $precision -> $file"
        # A step from among the last of four. The clocks stay as they are.
        timeout "$((LIMIT / 6))" "$profiler" --clock-control none --target-processes all --csv \
          --section SpeedOfLight --section LaunchStats --section Occupancy --launch-skip 60 --launch-count 60 \
          "${plain[@]}" --rows "$row" --precision "$precision" >"$file" 2>&1 ||
          echo "ncu ended with $?: see $file"
      done
    done
  else
    echo "ncu is not installed"
  fi
  if profiler=$(tool nsys); then
    file=$(mktemp -d)
    timeout "$((LIMIT / 6))" "$profiler" profile --stats=true --force-overwrite=true -o "$file/lenet" \
      "${plain[@]}" --rows "LeNet, batch 128" --precision float32 >"$OUT/nsys.txt" 2>&1 ||
      echo "nsys ended with $?: see $OUT/nsys.txt"
    rm -rf "$file"
  else
    echo "nsys is not installed"
  fi
  return "$status"
}

# What the results are of.
machine() {
  date
  nvidia-smi 2>&1
  "$PYTHON" --version
  for name in cmake ninja nvcc compute-sanitizer ncu nsys; do
    printf '%s: %s\n' "$name" "$(tool "$name" || echo 'not here')"
  done
  "$PYTHON" - numpy pybind11 torch triton pytest hypothesis pytest-xdist pytest-timeout matplotlib <<'PYTHON'
import importlib.metadata
import sys

for name in sys.argv[1:]:
    try:
        print(f"{name}: {importlib.metadata.version(name)}")
    except importlib.metadata.PackageNotFoundError:
        print(f"{name}: not here")
PYTHON
  git log -1 --format='commit %h, %s' 2>/dev/null
  lscpu 2>/dev/null | grep -E '^(Model name|CPU\(s\)|Socket)'
}

# summary.txt holds a line for each stage; summary.json the same for programs.
conclude() {
  printf '%-10s %-8s %4d s  %s\n' "$1" "$2" "$3" "$4" >>"$OUT/summary.txt"
  "$PYTHON" - "$OUT" <<'PYTHON'
import json
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
stages = []
for line in (folder / "summary.txt").read_text().splitlines():
    name, status, seconds, _, last = line.split(None, 4) if len(line.split()) > 4 else [*line.split(), ""]
    stages.append({"stage": name, "status": status, "seconds": int(seconds), "last": last})
(folder / "summary.json").write_text(json.dumps(stages, indent=1) + "\n")
PYTHON
  if [ -n "$TAR" ]; then tar -czf "$TAR" -C "$(dirname "$OUT")" "$(basename "$OUT")"; fi
}

run_stage() {
  local name=$1 limit=$LIMIT began=$SECONDS code state
  shift
  if [ "$TOTAL" -gt 0 ] && [ $((TOTAL - SECONDS - 5)) -lt "$limit" ]; then limit=$((TOTAL - SECONDS - 5)); fi
  if [ "$limit" -lt 10 ]; then
    conclude "$name" late 0 "no time was left" && return 1
  fi
  printf '\n== %s (at most %d s)\n' "$name" "$limit"
  LIMIT=$limit timeout --kill-after=15 "$limit" bash bench/gpu.sh --inside "$name" "$@" >"$OUT/$name.txt" 2>&1
  code=$?
  case $code in
    0) state=passed ;;
    "$SKIPPED") state=skipped ;;
    124 | 137) state=late ;;
    *) state=failed ;;
  esac
  tail -n 40 "$OUT/$name.txt"
  conclude "$name" "$state" $((SECONDS - began)) "$(grep -v '^ *$' "$OUT/$name.txt" | tail -n 1 | cut -c 1-160)"
  [ "$state" = passed ] || [ "$state" = skipped ]
}

PYTHON=${PYTHON:-python3} JOBS=${JOBS:-$(nproc)} LIMIT=${LIMIT:-480}
OUT=${OUT:-} TOTAL=0 TAR="" inside=0 chosen=() rest=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --out | --limit | --total | --tar)
      [ $# -gt 1 ] || die "$1 expects a value"
      case $1 in
        --out) OUT=$2 ;;
        --limit) LIMIT=$2 ;;
        --total) TOTAL=$2 ;;
        --tar) TAR=$2 ;;
      esac
      shift
      ;;
    --inside) inside=1 ;;
    --) shift && rest=("$@") && break ;;
    -*) die "unknown option $1; see --help" ;;
    *)
      [[ " ${STAGES[*]} " == *" $1 "* ]] || die "unknown stage '$1', expected some of: ${STAGES[*]}"
      chosen+=("$1")
      ;;
  esac
  shift
done
[[ $LIMIT =~ ^[0-9]+$ && $TOTAL =~ ^[0-9]+$ ]] || die "expected whole seconds"
export PYTHON JOBS LIMIT PYTHONUNBUFFERED=1

if [ "$inside" = 1 ]; then
  [ "${chosen[0]}" = build ] || prefer_build
  "stage_${chosen[0]}" "${rest[@]}"
  exit
fi

[ ${#chosen[@]} -gt 0 ] || chosen=("${STAGES[@]}")
OUT=${OUT:-bench/results/gpu-$(date +%F)}
mkdir -p "$OUT" || die "cannot write to $OUT"
OUT=$(cd "$OUT" && pwd)
export OUT
machine >"$OUT/machine.txt" 2>&1
failed=0
for name in "${chosen[@]}"; do
  run_stage "$name" -- "${rest[@]}" || failed=1
done
printf '\n== results in %s\n' "$OUT"
cat "$OUT/summary.txt"
exit "$failed"
