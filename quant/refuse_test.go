package quant_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"nibble/quant/container"
	"nibble/quant/fault"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// A weight that holds NaN or infinity is an error that names it.
func TestRefusesNaNAndInfinity(t *testing.T) {
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		for _, config := range recipes {
			in := testkit.Safetensors(testkit.F32("good.weight", []int64{64, 64}, 1, 2),
				testkit.F32("bad.weight", []int64{64, 64}, 1, 2, v))
			_, _, err := convert(t, in, config, container.Options{}, 2)
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != fault.Unsupported || f.Tensor != "bad.weight" || f.File != "in" {
				t.Errorf("%v with %s: error %v", v, config, err)
			}
		}
	}
	// Kept tensors may hold anything.
	in := testkit.Safetensors(testkit.F32("norm.weight", []int64{64}, float32(math.NaN())))
	if _, _, err := convert(t, in, coremltools.Default, container.Options{}, 1); err != nil {
		t.Error(err)
	}
}

// float16 arithmetic overflows where the values themselves do not.
func TestRefusesWhatFloat16CannotSpan(t *testing.T) {
	half := make([]uint16, 64*64)
	for i := range half {
		half[i] = tensor.F32ToF16(40000)
	}
	in := testkit.Safetensors(testkit.Weight{Name: "w.weight", DType: tensor.F16, Shape: []int64{64, 64},
		Values: tensor.Bytes(half)})
	_, _, err := convert(t, in, coremltools.Default, container.Options{}, 1)
	if fault.KindOf(err) != fault.Unsupported || !strings.Contains(err.Error(), "F16 arithmetic") {
		t.Errorf("error %v", err)
	}
}

// coremltools' zero points overflow float16 long before the weights do, and float64
// weights pass through float32.
func TestRefusesWhatTheArithmeticCannotHold(t *testing.T) {
	half, wide := make([]uint16, 64*64), make([]float64, 64*64)
	for i := range half {
		half[i], wide[i] = tensor.F32ToF16(-300), 1e200
	}
	f16 := testkit.Weight{Name: "w.weight", DType: tensor.F16, Shape: []int64{64, 64}, Values: tensor.Bytes(half)}
	f64 := testkit.Weight{Name: "w.weight", DType: tensor.F64, Shape: []int64{64, 64}, Values: tensor.Bytes(wide)}
	for _, c := range []struct {
		w       testkit.Weight
		config  string
		refused bool
	}{
		{f16, `{"global_config":{"weight_dtype":"uint8","quantization_scheme":"affine"}}`, true},
		{f16, `{"global_config":{"weight_dtype":"uint8"}}`, false},
		{f16, `{"global_config":{"weight_dtype":"uint4","quantization_scheme":"affine"}}`, false},
		{f64, `{"global_config":{"weight_dtype":"int8"}}`, true},
	} {
		_, _, err := convert(t, testkit.Safetensors(c.w), c.config, container.Options{}, 1)
		if c.refused != (fault.KindOf(err) == fault.Unsupported) || !c.refused && err != nil {
			t.Errorf("%s with %s: %v", c.w.DType, c.config, err)
		}
	}
}

// A name that safetensors keeps for itself has no place in its containers.
func TestRefusesReservedNames(t *testing.T) {
	in := testkit.Torch(testkit.F32("__metadata__", []int64{2}, 1), testkit.F32("a.weight", []int64{64, 64}, 1, 2))
	for to, refused := range map[string]bool{"packed": true, "int8": true, "coremltools": false} {
		_, _, err := convert(t, in, coremltools.Default, container.Options{To: to}, 1)
		if refused != (fault.KindOf(err) == fault.Unsupported &&
			strings.Contains(err.Error(), "keeps this name for itself")) || !refused && err != nil {
			t.Errorf("%s: %v", to, err)
		}
	}
}

// Two outputs of one name would shadow each other.
func TestRefusesNamesThatCollide(t *testing.T) {
	in := testkit.Safetensors(testkit.F32("a.weight", []int64{64, 64}, 1, 2), testkit.F32("a.weight_scale", []int64{4}, 1))
	_, _, err := convert(t, in, coremltools.Default, container.Options{To: "packed"}, 1)
	if fault.KindOf(err) != fault.Unsupported || !strings.Contains(err.Error(), `"a.weight_scale"`) {
		t.Errorf("error %v", err)
	}
	out, _, err := convert(t, in, coremltools.Default, container.Options{To: "coremltools"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = convert(t, out, coremltools.Default, container.Options{To: "coremltools"}, 1); err == nil ||
		!strings.Contains(err.Error(), "quantized already") {
		t.Errorf("error %v", err)
	}
}
