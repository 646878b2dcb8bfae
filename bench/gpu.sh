#!/usr/bin/env bash
# Builds, checks and times nnx on a machine with an NVIDIA GPU: everything that a machine without one cannot say.
# No network is needed. Each stage runs alone, within a time limit of its own; one that fails stops no other, and what
# there is of results is on disk, and packed, from the first second on.
# Usage: bench/gpu.sh [OPTION ...] [VERB | STAGE ...] [-- ARGUMENT ...]
#
# Verbs are lists of stages with limits that fit into some nine minutes:
#   contact    the verdict and the table: build kernels digits memcheck train gemm epoch suite racecheck
#   contact2   what that leaves: build steps profile plan rounding initcheck synccheck compile
#
# Stages (without any: all of them, in this order):
#   build      CMake, for the GPU of this machine alone, into build/gpu and python/nnx; where a build of these very
#              sources lies there already and runs, that one
#   kernels    gpu_kernels.py: every family beside its definition, short trainings beside the CPU
#   digits     LeNet and an MLP learn the handwritten digits, beside the CPU
#   memcheck   gpu_kernels.py under compute-sanitizer, as much of it as the time allows
#   train      training steps beside PyTorch: eager, channels_last, a graph of the whole step
#   gemm       matrix products beside cuBLAS
#   epoch      an epoch of Fashion-MNIST from call to return, beside PyTorch's DataLoader
#   suite      the tests on the device
#   racecheck initcheck synccheck
#              as memcheck
#   steps      the kernels of a step, by PyTorch's profiler
#   profile    three kernels by ncu
#   plan       what tiles and slices cost in cycles: the constants of cuda/gemm_plan.h
#   rounding   products in bfloat16 with NNX_CUDA_ROUND_ONCE=always and =never
#   compile    the most important rows of `train` with torch.compile, which takes minutes
#
# Options:
#   --out DIR          where results go; default: bench/results/gpu-<date>
#   --limit SECONDS    of each stage; default: what its verb gives it
#   --total SECONDS    of all together; what is left of it cuts the limit
#   --tar FILE         packs the results into FILE, every few seconds
#   --emulated PLUGIN  a dry run: on an emulated libnnx_cuda.so, with tiny sizes. Every result says so
#   --brief            with it, the fewest checks that still go through every stage
# What follows -- goes to the stage's program, or to pytest: bench/gpu.sh train -- --rows AlexNet
#
# Environment: PYTHON, CUDACXX, JOBS, NNX_CUDA_ARCHITECTURES, NNX_CPU_ISAS.
# The exit code is 0 where no stage failed; one whose tool is not installed is skipped, and says so.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

STAGES=(build kernels digits memcheck train gemm epoch suite racecheck initcheck synccheck steps profile plan rounding compile)
# With the seconds that each may take.
CONTACT=(build:150 kernels:60 digits:30 memcheck:60 train:170 gemm:45 epoch:60 suite:200 racecheck:90)
CONTACT2=(build:150 steps:60 profile:90 plan:40 rounding:60 initcheck:60 synccheck:60 compile:240)
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

# One number for all that the build is made of.
sources() {
  {
    cat CMakeLists.txt pyproject.toml
    find csrc cuda -type f | LC_ALL=C sort | xargs cat
  } | sha256sum | cut -d' ' -f1
}

# Whether nnx loads, of this folder where it is built there, with a device that is what it should be; prints what it is.
runs() {
  prefer_build
  EMULATED=$EMULATED "$PYTHON" - <<'PYTHON'
import os
import sys
import nnx

print(nnx.info())
print("emulated: no GPU was near these results" if nnx.cuda.is_emulated() else "on a GPU")
sys.exit(0 if nnx.cuda.is_available() and nnx.cuda.is_emulated() == bool(os.environ["EMULATED"]) else 1)
PYTHON
}

stage_build() {
  local missing=() nvcc generator=() name
  if [ -n "$EMULATED" ]; then
    echo "a dry run: $EMULATED"
    runs
    return
  fi
  if [ "$(cat build/gpu/sources 2>/dev/null)" = "$(sources)" ] && runs; then
    echo "built already, of these sources" && return 0
  fi
  nvcc=${CUDACXX:-$(tool nvcc)} || missing+=("nvcc")
  command -v cmake >/dev/null || missing+=("cmake")
  for name in pybind11 numpy; do has_module "$name" || missing+=("$name (Python)"); done
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
  sources >build/gpu/sources
  runs
}

stage_kernels() { "$PYTHON" bench/gpu_kernels.py --seconds "$((LIMIT * 9 / 10))" "${FEW[@]}" "$@"; }
stage_digits() { "$PYTHON" bench/gpu_digits.py "${SHORT[@]}" "$@"; }

stage_suite() {
  local options=(-q --tb=short -p no:cacheprovider) files=() name
  for name in pytest hypothesis; do
    has_module "$name" || skip "$name is not installed: the stage 'kernels' was all of the parity suite that can run"
  done
  has_module xdist && options+=(-n "$((JOBS < 12 ? JOBS : 12))")
  has_module pytest_timeout && options+=(--timeout 60)
  export NNX_TEST_DEVICES=cuda NNX_TEST_PROGRAMS=cuda
  # Of tests in processes of their own too: pytest-benchmark warns of xdist, and warnings are errors.
  export PYTEST_ADDOPTS="-p no:benchmark${PYTEST_ADDOPTS:+ $PYTEST_ADDOPTS}"
  if [ -n "$EMULATED" ]; then
    "$PYTHON" -m pytest "${options[@]}" tests/ops/test_elementwise.py tests/ops/test_softmax.py "$@"
    return
  fi
  for name in tests/ops \
    tests/test_{tensor,cuda,cuda_chain,cuda_products,gradients,model_gradients,training,extremes,determinism}.py \
    tests/test_{optimizers,regularizers,accumulation,hands,resuming,saving,traced_arithmetic,traced_losses}.py \
    tests/test_{arithmetic_layers,layers,augmentation,several}.py tests/callbacks/test_diagnostics.py; do
    if [ -e "$name" ]; then files+=("$name"); fi
  done
  "$PYTHON" -m pytest "${options[@]}" "${files[@]}" "$@"
}

sanitize() {
  local checker name=$1
  shift
  if [ -n "$EMULATED" ]; then skip "compute-sanitizer knows nothing of the emulator"; fi
  checker=$(tool compute-sanitizer) || skip "compute-sanitizer is not installed"
  # Large products' way is taken by small ones too; every array is an allocation of the driver's, whose ends it knows.
  NNX_CUDA_ROUND_ONCE=always NNX_CUDA_CACHE=0 "$checker" --tool "$name" --error-exitcode 99 --print-limit 50 "${EXTRA[@]}" "$PYTHON" bench/gpu_kernels.py --hang 300 --seconds "$((LIMIT * 7 / 10))" "$@"
}
stage_memcheck() { EXTRA=(--padding 64) && sanitize memcheck --without float64 "$@"; }
stage_racecheck() { EXTRA=(--racecheck-report all) && sanitize racecheck --without float64 integers "$@"; }
stage_initcheck() { EXTRA=() && sanitize initcheck --without float64 integers "$@"; }
stage_synccheck() { EXTRA=() && sanitize synccheck --without float64 integers "$@"; }

timed() { "$PYTHON" "bench/gpu_$1.py" --output "$OUT" --resume "${DRY[@]}" "${@:2}"; }
stage_train() { timed train_step --no-compile --turns 3 "$@"; }
stage_gemm() { timed gemm --turns 3 --sizes 4096 1024 "$@"; }
stage_epoch() { timed epoch --turns 3 --workers 0 "$@"; }
stage_plan() { timed plan "$@"; }
stage_rounding() {
  local choice status=0
  for choice in always never; do
    NNX_CUDA_ROUND_ONCE=$choice timed gemm --turns 3 --precision bfloat16 --named "$choice" "$@" || status=1
    NNX_CUDA_ROUND_ONCE=$choice timed train_step --no-compile --turns 3 --precision bfloat16 --rows AlexNet LeNet \
      --named "$choice" "$@" || status=1
  done
  return "$status"
}
stage_compile() {
  if [ -n "$EMULATED" ]; then skip "torch.compile makes nothing of a dry run"; fi
  timed train_step --turns 3 --budget "$((LIMIT * 3 / 4))" --compile-seconds 75 --rows "LeNet, batch 128" AlexNet "$@"
}

stage_steps() {
  has_module torch || skip "PyTorch is not installed, whose profiler lists the kernels"
  timed profile "$@"
}
# Three kernels: products from among the last of four steps. The clocks stay as they are.
stage_profile() {
  local status=0 profiler row precision file
  if [ -n "$EMULATED" ]; then skip "ncu knows nothing of the emulator"; fi
  profiler=$(tool ncu) || skip "ncu is not installed"
  for row in "LeNet, batch 128:float32" "AlexNet:float32" "AlexNet:bfloat16"; do
    precision=${row##*:} row=${row%:*}
    file=$OUT/ncu-${row%%,*}-$precision.txt
    echo "== ncu: $row, $precision -> $file"
    timeout "$((LIMIT / 4))" "$profiler" --clock-control none --target-processes all --kernel-name regex:multiply \
      --section SpeedOfLight --section LaunchStats --section Occupancy --section WarpStateStats \
      --section MemoryWorkloadAnalysis --section SchedulerStats --launch-skip 16 --launch-count 1 \
      "$PYTHON" bench/gpu_profile.py --plain --rows "$row" --precision "$precision" >"$file" 2>&1 ||
      { echo "ncu ended with $?: see $file" && status=1; }
  done
  return "$status"
}

# What the results are of.
machine() {
  date
  if [ -n "$EMULATED" ]; then echo "emulated: a dry run on $EMULATED; no GPU was near these results"; fi
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

# summary.txt holds a line for each stage; summary.json the same for programs. Whole at every moment: a file is written
# beside the old one and takes its place.
conclude() {
  printf '%-10s %-8s %4d s  %s\n' "$1" "$2" "$3" "$4" >>"$OUT/summary.txt"
  "$PYTHON" - "$OUT" "$EMULATED" <<'PYTHON'
import json
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
stages = []
for line in (folder / "summary.txt").read_text().splitlines():
    name, status, seconds, _, last = line.split(None, 4) if len(line.split()) > 4 else [*line.split(), ""]
    stages.append({"stage": name, "status": status, "seconds": int(seconds), "last": last})
    if sys.argv[2]:
        stages[-1]["emulated"] = True
draft = folder / ".summary.json"
draft.write_text(json.dumps(stages, indent=1) + "\n")
draft.replace(folder / "summary.json")
PYTHON
  pack
}

# What there is, while a stage runs too.
pack() {
  [ -n "$TAR" ] || return 0
  tar -czf "$TAR.$BASHPID" -C "$(dirname "$OUT")" --exclude='.*' "$(basename "$OUT")" 2>/dev/null
  mv -f "$TAR.$BASHPID" "$TAR"
}

# Ends the stage that runs, and leaves word of it.
stopped() {
  trap - TERM INT HUP
  if [ -n "$RUNNING" ]; then kill -TERM -- "-$RUNNING" 2>/dev/null; fi
  conclude "${STAGE:-between}" stopped $((SECONDS - BEGAN)) "from outside, by a signal"
  kill "$PACKER" 2>/dev/null
  exit 143
}

run_stage() {
  local name=$1 limit=$LIMIT code state
  shift
  BEGAN=$SECONDS
  if [ -z "$CHOSEN_LIMIT" ]; then limit=${LIMITS[$name]:-$LIMIT}; fi
  if [ "$TOTAL" -gt 0 ] && [ $((TOTAL - SECONDS - 5)) -lt "$limit" ]; then limit=$((TOTAL - SECONDS - 5)); fi
  if [ "$limit" -lt 10 ]; then
    conclude "$name" late 0 "no time was left" && return 1
  fi
  printf '\n== %s (at most %d s, %d s gone)\n' "$name" "$limit" "$SECONDS"
  STAGE=$name
  LIMIT=$limit setsid timeout --kill-after=10 "$limit" bash bench/gpu.sh --inside "$name" "$@" >"$OUT/$name.txt" 2>&1 &
  RUNNING=$!
  wait "$RUNNING"
  code=$?
  STAGE=""  # what ends now is told once
  case $code in
    0) state=passed ;;
    "$SKIPPED") state=skipped ;;
    124 | 137) state=late ;;
    *) state=failed ;;
  esac
  tail -n "$SHOWN" "$OUT/$name.txt" | cut -c 1-400
  conclude "$name" "$state" $((SECONDS - BEGAN)) "$(grep -v '^ *$' "$OUT/$name.txt" | tail -n 1 | cut -c 1-160)"
  [ "$state" = passed ] || [ "$state" = skipped ]
}

PYTHON=${PYTHON:-python3} JOBS=${JOBS:-$(nproc)} LIMIT=${LIMIT:-480} EMULATED=${EMULATED:-} BRIEF=${BRIEF:-}
OUT=${OUT:-} TOTAL=0 TAR="" STAGE="" BEGAN=0 RUNNING="" CHOSEN_LIMIT="" SHOWN=40 inside=0 chosen=() rest=()
declare -A LIMITS=()
for name in "${CONTACT[@]}" "${CONTACT2[@]}"; do LIMITS[${name%:*}]=${name#*:}; done
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --out | --limit | --total | --tar | --emulated)
      [ $# -gt 1 ] || die "$1 expects a value"
      case $1 in
        --out) OUT=$2 ;;
        --limit) LIMIT=$2 CHOSEN_LIMIT=1 ;;
        --total) TOTAL=$2 ;;
        --tar) TAR=$2 ;;
        --emulated) EMULATED=$2 ;;
      esac
      shift
      ;;
    --brief) BRIEF=1 ;;
    --inside) inside=1 ;;
    --) shift && rest=("$@") && break ;;
    -*) die "unknown option $1; see --help" ;;
    contact | contact2)
      stages=("${CONTACT[@]}")
      if [ "$1" = contact2 ]; then stages=("${CONTACT2[@]}"); fi
      for name in "${stages[@]}"; do chosen+=("${name%:*}"); done
      ;;
    *)
      [[ " ${STAGES[*]} " == *" $1 "* ]] || die "unknown stage '$1', expected contact, contact2 or some of: ${STAGES[*]}"
      chosen+=("$1")
      ;;
  esac
  shift
done
[[ $LIMIT =~ ^[0-9]+$ && $TOTAL =~ ^[0-9]+$ ]] || die "expected whole seconds"
if [ -n "$BRIEF" ] && [ -z "$EMULATED" ]; then die "--brief goes with --emulated"; fi
if [ -n "$EMULATED" ]; then
  EMULATED=$(realpath -e "$EMULATED") || die "--emulated expects an emulated libnnx_cuda.so"
  export NNX_CUDA_PLUGIN=$EMULATED
fi
export PYTHON JOBS LIMIT EMULATED BRIEF PYTHONUNBUFFERED=1
DRY=() SHORT=() FEW=()
if [ -n "$EMULATED" ]; then DRY=(--dry-run) SHORT=(--epochs 1); fi
if [ -n "$BRIEF" ]; then FEW=(--without float64 integers "conv2d m" AdamW LeNet) SHORT=(--epochs 1 --networks MLP); fi

if [ "$inside" = 1 ]; then
  [ "${chosen[0]}" = build ] || prefer_build
  "stage_${chosen[0]}" "${rest[@]}"
  exit
fi

[ ${#chosen[@]} -gt 0 ] || chosen=("${STAGES[@]}")
OUT=${OUT:-bench/results/gpu-$(date +%F)}
mkdir -p "$OUT" || die "cannot write to $OUT"
OUT=$(cd "$OUT" && pwd)
if [ -n "$TAR" ]; then TAR=$(realpath "$TAR"); fi
export OUT
machine >"$OUT/machine.txt" 2>&1
while sleep 15; do pack; done &
PACKER=$!
trap stopped TERM INT HUP
failed=0
for name in "${chosen[@]}"; do
  run_stage "$name" -- "${rest[@]}" || failed=1
  # Where nothing can run there is nothing to wait for.
  if [ "$name" = build ] && [ "$failed" = 1 ]; then echo "nothing is built: the other stages are left out" && break; fi
done
kill "$PACKER" 2>/dev/null
printf '\n== results in %s\n' "$OUT"
cut -c 1-120 "$OUT/summary.txt"
exit "$failed"
