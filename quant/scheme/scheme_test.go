package scheme

import "testing"

// The ranges of coremltools' get_quant_range_by_dtype.
func TestRanges(t *testing.T) {
	for _, c := range []struct {
		d        WeightDType
		m        Mode
		min, max int
		zero     int
		stored   bool
	}{
		{Int4, Symmetric, -7, 7, 0, false}, {Int4, Affine, -8, 7, 0, true}, {Uint4, Symmetric, 0, 14, 7, true},
		{Uint4, Affine, 0, 15, 7, true},
		{Int8, Symmetric, -127, 127, 0, false}, {Int8, Affine, -128, 127, 0, true}, {Uint8, Symmetric, 0, 254, 127, true},
		{Uint8, Affine, 0, 255, 127, true},
	} {
		s := Scheme{WeightDType: c.d, Mode: c.m}
		if min, max := s.Range(); min != c.min || max != c.max || s.HasZeroPoint() != c.stored {
			t.Errorf("%s %s: [%d, %d], zero point %v", c.d, c.m, min, max, s.HasZeroPoint())
		}
		if c.m == Symmetric && s.FixedZeroPoint() != c.zero {
			t.Errorf("%s: zero point %d", c.d, s.FixedZeroPoint())
		}
	}
}
