// What quant/kernel computes, in C, for ./build.sh bench kernels to hold Go against: int4
// codes of float32, bfloat16 and float16 weights, ranges, scales, zero points, codes two a
// byte and the errors, in one pass over the weights. One source for wasm (-msimd128) and
// native, through clang's vectors of four. Blocks are assumed to be ordinary: none of 0,
// NaN or numbers near the ends of what floats can be, which Go looks for.

#include <stdint.h>

typedef float f4 __attribute__((vector_size(16)));
typedef int32_t i4 __attribute__((vector_size(16)));
typedef uint32_t u4 __attribute__((vector_size(16)));
typedef uint16_t h8 __attribute__((vector_size(16)));
typedef uint16_t h4 __attribute__((vector_size(8)));
typedef uint8_t b16 __attribute__((vector_size(16)));
typedef uint8_t b8 __attribute__((vector_size(8)));
typedef double d2 __attribute__((vector_size(16)));
typedef f4 f4u __attribute__((aligned(4)));
typedef h8 h8u __attribute__((aligned(2)));

#define INLINE static inline __attribute__((always_inline))

enum { WEIGHTS = 1 << 20, PERIOD = 128 };

static union { float f[WEIGHTS]; uint16_t h[WEIGHTS]; } source;
static uint8_t packed[WEIGHTS / 2];
static float scales[WEIGHTS / 8], offsets[WEIGHTS / 8];
static int8_t zeros[WEIGHTS / 8];
static double sums[3][4];
static uint32_t most;

static const float magic = 12582912;

INLINE f4 splat(float x) { return (f4){x, x, x, x}; }
INLINE i4 larger(i4 a, i4 b) { return __builtin_elementwise_max(a, b); }
INLINE i4 smaller(i4 a, i4 b) { return __builtin_elementwise_min(a, b); }
INLINE u4 largerU(u4 a, u4 b) { return __builtin_elementwise_max(a, b); }
INLINE i4 lanes(i4 v, i4 w) { return v; }

INLINE f4 round_half(f4 v) {
  u4 b = (u4)v;
  return (f4)((b + 0xfff + (b >> 13 & 1)) & 0xffffe000);
}

INLINE float round_half1(float x) {
  union { float f; uint32_t u; } v = {x};
  float a = __builtin_fabsf(x);
  if (a < 0x1p-14f) return x < 0 ? -((a + 0.75f) - 0.75f) : (a + 0.75f) - 0.75f;
  v.u = (v.u + 0xfff + (v.u >> 13 & 1)) & 0xffffe000;
  return v.f;
}

INLINE f4 round_brain(f4 v) {
  u4 b = (u4)v;
  return (f4)((b + 0x7fff + (b >> 16 & 1)) & 0xffff0000);
}

INLINE float round_brain1(float x) {
  union { float f; uint32_t u; } v = {x};
  v.u = (v.u + 0x7fff + (v.u >> 16 & 1)) & 0xffff0000;
  return v.f;
}

typedef struct { f4 signal, noise, approx; u4 most; } tally;

INLINE void add(tally *t, f4 w, f4 d) {
  f4 e = w - d;
  t->signal += w * w;
  t->noise += e * e;
  t->approx += d * d;
  t->most = largerU(t->most, (u4)e & 0x7fffffff);
}

INLINE void turn(tally *t) {
  f4 v[3] = {t->signal, t->noise, t->approx};
  for (int i = 0; i < 3; i++)
    for (int k = 0; k < 4; k++) sums[i][k] += v[i][k];
  t->signal = t->noise = t->approx = splat(0);
}

// Four weights at a place, in float32.
enum { F32, BF16, F16 };

INLINE void load8(int dtype, long at, f4 *a, f4 *b) {
  if (dtype == F32) {
    *a = *(f4u *)(source.f + at);
    *b = *(f4u *)(source.f + at + 4);
    return;
  }
  h8 v = *(h8u *)(source.h + at);
  u4 lo = __builtin_convertvector(__builtin_shufflevector(v, v, 0, 1, 2, 3), u4);
  u4 hi = __builtin_convertvector(__builtin_shufflevector(v, v, 4, 5, 6, 7), u4);
  if (dtype == BF16) {
    *a = (f4)(lo << 16);
    *b = (f4)(hi << 16);
    return;
  }
  f4 up = splat(0x1p112f);
  *a = (f4)((u4)((i4)(lo << 16) >> 3) & 0x8fffe000) * up;
  *b = (f4)((u4)((i4)(hi << 16) >> 3) & 0x8fffe000) * up;
}

// Codes lie in the low nibbles of words: four vectors become one, then pairs of words
// become bytes.
INLINE void pack(u4 *y, long i, uint8_t flip) {
  u4 m = {0x4B400000u, 0x4B400000u, 0x4B400000u, 0x4B400000u};
  u4 left = (y[0] - m) + ((y[1] - m) << 8) + ((y[2] - m) << 16) + ((y[3] - m) << 24);
  u4 right = (y[4] - m) + ((y[5] - m) << 8) + ((y[6] - m) << 16) + ((y[7] - m) << 24);
  u4 even = __builtin_shufflevector(left, right, 0, 2, 4, 6), odd = __builtin_shufflevector(left, right, 1, 3, 5, 7);
  b16 bytes = (b16)(even | odd << 4) ^ flip;
  bytes = __builtin_shufflevector(bytes, bytes, 0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
  *(b16 *)(packed + i / 2) = bytes;
}

// One run: its range, its scale and zero point, its codes and errors.
INLINE void one_run(int dtype, int affine, int brain, long at, long run, long block, tally *t) {
  int half = dtype == F16;
  i4 high = {0, 0, 0, 0};
  u4 low = {1u << 31, 1u << 31, 1u << 31, 1u << 31};
  for (long i = at; i < at + run; i += 8) {
    f4 a, b;
    load8(dtype, i, &a, &b);
    high = larger(high, larger((i4)a, (i4)b));
    low = largerU(low, largerU((u4)a, (u4)b));
  }
  int32_t h1 = 0;
  uint32_t l1 = 0;
  for (int k = 0; k < 4; k++) {
    h1 = high[k] > h1 ? high[k] : h1;
    l1 = low[k] > l1 ? low[k] : l1;
  }
  union { uint32_t u; float f; } l = {l1}, h = {(uint32_t)h1};
  float span, zero = 0;
  if (affine) {
    span = h.f - l.f;
    float up = -8 * h.f, down = 7 * l.f;
    if (half) span = round_half1(span), up = round_half1(up), down = round_half1(down);
    float z = up - down;
    if (half) z = round_half1(z);
    z /= span;
    if (half) z = round_half1(z);
    zero = (z + magic) - magic;
    zero = zero < -8 ? -8 : zero > 7 ? 7 : zero;
    zeros[block] = (int8_t)zero;
  } else {
    span = 2 * (h.f > -l.f ? h.f : -l.f);
  }
  float s = span / (affine ? 15 : 14);
  if (half) s = round_half1(s);
  if (brain) s = round_brain1(s);
  scales[block] = s;

  f4 scale = splat(s), base = splat(magic + 8);
  i4 z = (i4){1, 1, 1, 1} * (int32_t)zero;
  i4 bottom = (i4)splat(magic), top = (i4)splat(magic + 15);
  for (long i = at; i < at + run; i += 32) {
    u4 y[8];
    for (int k = 0; k < 8; k += 2) {
      f4 w[2], d;
      load8(dtype, i + 4 * k, w, w + 1);
      for (int m = 0; m < 2; m++) {
        f4 q = w[m] / scale;
        if (half) q = round_half(q);
        f4 sum = q + base;
        if (affine || half) {
          i4 code = smaller(larger((i4)sum + z, bottom), top);
          y[k + m] = (u4)code;
          d = ((f4)(code - z) - base) * scale;
        } else {
          y[k + m] = (u4)sum;
          d = (sum - base) * scale;
        }
        if (half) d = round_half(d);
        if (brain) d = round_brain(d);
        add(t, w[m], d);
      }
    }
    pack(y, i, 0x88);
    if ((i + 32) % PERIOD == 0) turn(t);
  }
}

// One run in MLX's arithmetic: its edges, its scale and offset, its codes and errors.
INLINE void mlx_run(int dtype, long at, long run, long block, tally *t) {
  i4 high = {INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN}, low = ~high;
  for (long i = at; i < at + run; i += 8) {
    f4 a, b;
    load8(dtype, i, &a, &b);
    i4 x = (i4)a ^ ((i4)a >> 31 & 0x7fffffff), y = (i4)b ^ ((i4)b >> 31 & 0x7fffffff);
    high = larger(high, larger(x, y));
    low = smaller(low, smaller(x, y));
  }
  int32_t h1 = INT32_MIN, l1 = INT32_MAX;
  for (int k = 0; k < 4; k++) {
    h1 = high[k] > h1 ? high[k] : h1;
    l1 = low[k] < l1 ? low[k] : l1;
  }
  union { int32_t i; float f; } l = {l1 ^ (l1 >> 31 & 0x7fffffff)}, h = {h1 ^ (h1 >> 31 & 0x7fffffff)};
  float s = (h.f - l.f) / 15, edge = h.f, b = 0;
  s = s > 1e-7f ? s : 1e-7f;
  if (__builtin_fabsf(l.f) > __builtin_fabsf(h.f)) edge = l.f;
  else s = -s;
  float whole = (edge / s + magic) - magic;
  if (whole != 0) s = edge / whole, b = edge;
  float stored = dtype == BF16 ? round_brain1(s) : s, shift = dtype == BF16 ? round_brain1(b) : b;
  scales[block] = stored;
  offsets[block] = shift;
  f4 scale = splat(s), offset = splat(b), base = splat(magic), out = splat(stored), more = splat(shift);
  i4 bottom = (i4)splat(magic), top = (i4)splat(magic + 15);
  for (long i = at; i < at + run; i += 32) {
    u4 y[8];
    for (int k = 0; k < 8; k += 2) {
      f4 w[2];
      load8(dtype, i + 4 * k, w, w + 1);
      for (int m = 0; m < 2; m++) {
        i4 code = smaller(larger((i4)((w[m] - offset) / scale + base), bottom), top);
        y[k + m] = (u4)code;
        f4 d = ((f4)code - base) * out;
        add(t, w[m], d + more);
      }
    }
    pack(y, i, 0);
    if ((i + 32) % PERIOD == 0) turn(t);
  }
}

enum { SYMMETRIC, AFFINE, NARROW, MLX };

INLINE void all(int dtype, int kind, long n, long run) {
  tally t = {splat(0), splat(0), splat(0), {0, 0, 0, 0}};
  for (long at = 0, block = 0; at < n; at += run, block++) {
    if (kind == MLX) mlx_run(dtype, at, run, block, &t);
    else one_run(dtype, kind == AFFINE, kind == NARROW, at, run, block, &t);
  }
  turn(&t);
  for (int k = 0; k < 4; k++) most = t.most[k] > most ? t.most[k] : most;
}

#define EXPORT __attribute__((visibility("default"), noinline))
#define KERNEL(name, dtype, kind, run) \
  EXPORT void name(long n) { all(dtype, kind, n, run); }

KERNEL(symmetric_b32_f32, F32, 0, 32)
KERNEL(symmetric_row_f32, F32, 0, 4096)
KERNEL(affine_b32_f32, F32, 1, 32)
KERNEL(affine_row_f32, F32, 1, 4096)
KERNEL(symmetric_b32_bf16, BF16, 0, 32)
KERNEL(affine_b32_bf16, BF16, 1, 32)
KERNEL(symmetric_b32_f16, F16, 0, 32)
KERNEL(affine_b32_f16, F16, 1, 32)
KERNEL(packed_b32_bf16, BF16, NARROW, 32)
KERNEL(mlx_b64_f32, F32, MLX, 64)
KERNEL(mlx_b64_bf16, BF16, MLX, 64)

// Fills the source: dtype, how many weights.
EXPORT void prepare(int dtype, long n) {
  uint64_t x = 1;
  for (long i = 0; i < n; i++) {
    float sum = 0;
    for (int k = 0; k < 4; k++) {
      x = x * 6364136223846793005u + 1442695040888963407u;
      sum += (float)(x >> 40) / (1 << 24) - 0.5f;
    }
    union { float f; uint32_t u; } w = {sum * 0.04f};
    if (dtype == F32) source.f[i] = w.f;
    else if (dtype == BF16) source.h[i] = (uint16_t)((w.u + 0x7fff + (w.u >> 16 & 1)) >> 16);
    else {
      w.f = round_half1(w.f) * 0x1p-112f;
      source.h[i] = (uint16_t)((w.u >> 16 & 0x8000) | (w.u >> 13 & 0x7fff));
    }
  }
}

EXPORT uint32_t digest(long weights) {
  uint32_t h = 2166136261u;
  for (long i = 0; i < weights / 2; i++) h = (h ^ packed[i]) * 16777619u;
  return h;
}

#ifndef __wasm__
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
  struct { const char *name; void (*f)(long); int dtype; } cases[] = {
    {"symmetric-b32-f32", symmetric_b32_f32, F32}, {"symmetric-row-f32", symmetric_row_f32, F32},
    {"affine-b32-f32", affine_b32_f32, F32}, {"affine-row-f32", affine_row_f32, F32},
    {"symmetric-b32-bf16", symmetric_b32_bf16, BF16}, {"affine-b32-bf16", affine_b32_bf16, BF16},
    {"symmetric-b32-f16", symmetric_b32_f16, F16}, {"affine-b32-f16", affine_b32_f16, F16},
    {"packed-b32-bf16", packed_b32_bf16, BF16}, {"mlx-b64-f32", mlx_b64_f32, F32},
    {"mlx-b64-bf16", mlx_b64_bf16, BF16},
  };
  double span = (argc > 1 ? atof(argv[1]) : 60) / 1000;
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    if (argc > 2 && strcmp(argv[2], cases[i].name)) continue;
    long n = (2 << 20) / (cases[i].dtype == F32 ? 4 : 2);
    prepare(cases[i].dtype, n);
    cases[i].f(n);
    double best = 0;
    for (int r = 0; r < 3; r++) {
      double began = now();
      long times = 0;
      while (now() - began < span) cases[i].f(n), times++;
      double speed = (2 << 20) * (double)times / (now() - began);
      best = speed > best ? speed : best;
    }
    printf("%s c %.0f %08x\n", cases[i].name, best, digest(n));
  }
}
#endif
