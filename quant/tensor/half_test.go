package tensor

import (
	"math"
	"testing"
)

// slowF16 is binary16 straight from IEEE 754's definition.
func slowF16(h uint16) float64 {
	sign, exp, frac := 1.0, int(h>>10)&31, float64(h&0x3ff)
	if h>>15 == 1 {
		sign = -1
	}
	switch exp {
	case 31:
		if frac != 0 {
			return math.NaN()
		}
		return sign * math.Inf(1)
	case 0:
		return sign * frac * math.Ldexp(1, -24)
	}
	return sign * (1 + frac/1024) * math.Ldexp(1, exp-15)
}

// Every binary16, both ways.
func TestF16Exhaustive(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		got, want := F16ToF32(h), slowF16(h)
		if want != want {
			if got == got || F32ToF16(got)&0x7c00 != 0x7c00 || F32ToF16(got)&0x3ff == 0 {
				t.Fatalf("%04x: %v is no NaN", h, got)
			}
			continue
		}
		if float64(got) != want || math.Signbit(float64(got)) != math.Signbit(want) {
			t.Fatalf("%04x is %v, want %v", h, got, want)
		}
		if back := F32ToF16(got); back != h {
			t.Fatalf("%04x comes back as %04x", h, back)
		}
	}
}

// Between any two neighbours, the midpoint goes to the even one and everything off it
// to the nearer one.
func TestF32ToF16RoundsHalfToEven(t *testing.T) {
	for i := range 0x7c00 {
		low, high := uint16(i), uint16(i+1)
		next := 65536.0 // where infinity would lie if there were no end
		if high != 0x7c00 {
			next = slowF16(high)
		}
		middle := float32((slowF16(low) + next) / 2)
		even := low
		if low&1 == 1 {
			even = high
		}
		for _, c := range []struct {
			f    float32
			want uint16
		}{{middle, even}, {math.Nextafter32(middle, 0), low}, {math.Nextafter32(middle, 1e9), high}} {
			if got := F32ToF16(c.f); got != c.want {
				t.Fatalf("%v becomes %04x, want %04x", c.f, got, c.want)
			}
			if got := F32ToF16(-c.f); got != c.want|0x8000 {
				t.Fatalf("%v becomes %04x, want %04x", -c.f, got, c.want|0x8000)
			}
		}
	}
	for _, f := range []float32{70000, 1e30, float32(math.Inf(1))} {
		if F32ToF16(f) != 0x7c00 {
			t.Errorf("%v is not infinite", f)
		}
	}
}

func TestBF16(t *testing.T) {
	for _, c := range []struct {
		bits uint32
		want uint16
	}{
		{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81}, {0x7f7fffff, 0x7f80},
		{0xff800000, 0xff80}, {0x80000000, 0x8000}, {0x00008000, 0x0000}, {0x00018000, 0x0002}, {0x7f800001, 0x7fc0},
	} {
		if got := F32ToBF16(math.Float32frombits(c.bits)); got != c.want {
			t.Errorf("%08x becomes %04x, want %04x", c.bits, got, c.want)
		}
	}
}

func TestShapesThatOverflow(t *testing.T) {
	for _, c := range []struct {
		shape []int64
		n     int64
		fits  bool
	}{
		{nil, 1, true}, {[]int64{2, 3}, 6, true}, {[]int64{1 << 31, 1 << 31}, 0, false},
		{[]int64{1 << 40, 1 << 40, 0}, 0, false}, {[]int64{0, 1 << 40, 1 << 40}, 0, false},
		{[]int64{1 << 40, 0, 1 << 20}, 0, true},
		{[]int64{-1}, 0, false}, {[]int64{1 << 30, 1 << 31}, 1 << 61, true},
	} {
		if n, fits := Elements(c.shape); fits != c.fits || fits && n != c.n {
			t.Errorf("%v: %d, %v", c.shape, n, fits)
		}
	}
	if _, fits := Extent([]int64{3, 3}, []int64{1 << 61, 1}); fits {
		t.Error("an extent of 2^62 passes")
	}
	if n, fits := Extent([]int64{3, 2}, []int64{10, 0}); !fits || n != 21 {
		t.Errorf("extent %d, %v", n, fits)
	}
}
