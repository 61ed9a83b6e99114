package proof_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"

	"nibble/quant"
	"nibble/quant/container"
	"nibble/quant/fault"
	"nibble/quant/format/huggingface"
	"nibble/quant/plan"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
	"nibble/quant/testkit/cases"
	"nibble/quant/testkit/plain"
	"nibble/quant/testkit/proof"
	"nibble/quant/testkit/proof/blocks"
	"nibble/quant/testkit/proof/offset"
)

func TestMain(m *testing.M) {
	proof.Install()
	os.Exit(m.Run())
}

// job plans a case in blocks, by a method.
func job(t *testing.T, c *cases.Case, method string) *quant.Job {
	t.Helper()
	model, err := quant.Open(c.Files, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := coremltools.Parse("config", []byte(c.Config))
	if err != nil {
		t.Fatal(err)
	}
	j, err := testkit.Plan(model, proof.Policy{Recipe: r, Method: method}, c.Plan, container.Options{To: blocks.Name})
	switch {
	case err == nil:
		return j
	case method == "" && strings.Contains(err.Error(), "weights with zero points have no place in the container blocks"):
		return nil
	}
	t.Fatalf("%v: %v", c, err)
	return nil
}

// Random conversions with tiny limits, 1 to 5 workers, one file or shards: every block is what the reference makes of
// the whole weight, verify agrees, and finds a bit that is another.
func TestBlocksOfAnyLimits(t *testing.T) {
	n := uint64(1500)
	if runtime.GOOS == "js" {
		n = 200
	}
	quantized, sharded, reasons := map[string]int{}, 0, map[plan.Code]int{}
	for seed := range n {
		c := cases.New(seed)
		c.Plan.KeepUnfit = false
		method := []string{"", offset.Row.Name}[seed%2]
		j := job(t, c, method)
		if j == nil || j.Plan.Conflict != nil {
			continue
		}
		files, r, err := c.Convert(j, c.Options())
		if fault.CodeOf(err) == "unfit" {
			continue
		}
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		out, err := quant.OpenOutput(files)
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		if len(files) > 1 {
			sharded++
		}
		quantized[method] += r.Totals.Quantized
		for i := range j.Plan.Entries {
			e := &j.Plan.Entries[i]
			if reasons[e.Reason.Code]++; e.Quantize {
				compare(t, c, e, tensorOf(out.State.Tensors, e.Tensor.Name+"_blocks"))
			}
		}
		if v, err := quant.VerifyModels(t.Context(), out, j.Model, quant.Options{Limits: c.Limits}); err != nil || !v.OK ||
			v.Container != blocks.Name {
			t.Fatalf("%v: verify says %+v, %v", c, v, err)
		}
		damage(t, c, j, files)
	}
	if quantized[""] < int(n)/30 || quantized[offset.Row.Name] < int(n)/15 || sharded < int(n)/75 || reasons["tall"] == 0 {
		t.Errorf("quantized %v, %d outputs in shards, %v", quantized, sharded, reasons)
	}
}

func tensorOf(all []tensor.Tensor, name string) *tensor.Tensor {
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	return nil
}

// compare holds a weight's blocks against the reference.
func compare(t *testing.T, c *cases.Case, e *plan.Entry, x *tensor.Tensor) {
	t.Helper()
	if x == nil {
		t.Fatalf("%v: the blocks of %s are missing", c, e.Tensor.Name)
	}
	got, err := plain.Read(x)
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	if e.Scheme.Method == "" {
		want = ofApple(t, e)
	} else {
		want = ofOffset(t, e)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%v: %s has other blocks", c, e.Tensor.Name)
	}
}

// ofApple are the blocks of the plain reference's codes and scales.
func ofApple(t *testing.T, e *plan.Entry) (out []byte) {
	w, err := plain.Quantize(e)
	if err != nil {
		t.Fatal(err)
	}
	run := int(e.Grid.GroupWidth())
	for k, scale := range w.Scale {
		out = lay(out, e, scale, 0, w.Codes[k*run:(k+1)*run])
	}
	return out
}

// ofOffset are the blocks that the method makes, group by group.
func ofOffset(t *testing.T, e *plan.Entry) (out []byte) {
	w, err := plain.Quantize(e) // for the values
	if err != nil {
		t.Fatal(err)
	}
	run, most := int(e.Grid.GroupWidth()), float64(int(1)<<e.Scheme.Bits()-1)
	for from := 0; from < len(w.Values); from += run {
		group := w.Values[from : from+run]
		low, high := group[0], group[0]
		for _, v := range group {
			low, high = min(low, v), max(high, v)
		}
		codes := make([]int, run)
		if e.Tensor.DType == tensor.F64 {
			scale, zero := offset.Params(low, high, most)
			for i, v := range group {
				codes[i] = int(offset.Code(v, scale, zero, most))
			}
			out = lay(out, e, scale, zero, codes)
			continue
		}
		scale, zero := offset.Params(float32(low), float32(high), float32(most))
		for i, v := range group {
			codes[i] = int(offset.Code(float32(v), scale, zero, float32(most)))
		}
		out = lay(out, e, float64(scale), float64(zero), codes)
	}
	return out
}

// lay adds a block.
func lay(out []byte, e *plan.Entry, scale, zero float64, codes []int) []byte {
	for _, v := range []float64{scale, zero} {
		if e.Tensor.DType == tensor.F64 {
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
		} else {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(v)))
		}
	}
	if e.Scheme.Bits() == 8 {
		for _, q := range codes {
			out = append(out, byte(q))
		}
		return out
	}
	for i := 0; i < len(codes); i += 2 {
		b := byte(codes[i]) & 15
		if i+1 < len(codes) {
			b |= byte(codes[i+1]) << 4
		}
		out = append(out, b)
	}
	return out
}

// damage changes a bit of the first quantized weight of an output, which verify must see.
func damage(t *testing.T, c *cases.Case, j *quant.Job, files []*tensor.File) {
	t.Helper()
	out, err := quant.OpenOutput(files)
	if err != nil {
		t.Fatal(err)
	}
	for i := range out.State.Tensors {
		x := &out.State.Tensors[i]
		if !strings.HasSuffix(x.Name, "_blocks") || x.Bytes() == 0 {
			continue
		}
		raw := make([]byte, x.Storage.File.Size)
		if _, err := x.Storage.File.R.ReadAt(raw, 0); err != nil {
			t.Fatal(err)
		}
		at := x.Storage.Start + x.Offset + int64(c.Seed)*7919%x.Bytes()
		raw[at] ^= 1 << (c.Seed % 8)
		x.Storage.File.R = bytes.NewReader(raw)
		if v, err := quant.VerifyModels(t.Context(), out, j.Model, quant.Options{Limits: c.Limits}); err == nil && v.OK {
			t.Fatalf("%v: verify does not see byte %d of %s", c, at-x.Storage.Start, x.Name)
		}
		return
	}
}

// Nibble's own containers have no place for offsets, and say so.
func TestContainersWithoutOffsets(t *testing.T) {
	c := cases.New(3)
	model, err := quant.Open(c.Files, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := coremltools.Parse("config", []byte(`{"global_config":{"weight_dtype":"uint4","granularity":"per_channel"}}`))
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	model.Config = &huggingface.Config{} // as a folder has one
	for _, row := range container.Table {
		_, err := testkit.Plan(model, proof.Policy{Recipe: r, Method: offset.Row.Name}, c.Plan,
			container.Options{To: row.Name})
		if fault.KindOf(err) == fault.Unsupported && strings.Contains(fmt.Sprint(err), "offsets have no place") {
			refused++
		} else if row.Name != blocks.Name && !row.Holds.Offset {
			t.Errorf("%s: %v", row.Name, err)
		}
	}
	if refused != len(container.Table)-2 {
		t.Errorf("%d containers refuse", refused)
	}
}

// A method whose groups lie within a row is given no others.
func TestGroupsOfSeveralRows(t *testing.T) {
	c := cases.New(3)
	model, err := quant.Open(c.Files, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := coremltools.Parse("config", []byte(`{"global_config":{"weight_dtype":"uint4","granularity":"per_tensor"}}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = testkit.Plan(model, careless{proof.Policy{Recipe: r, Method: offset.Row.Name}}, c.Plan,
		container.Options{To: blocks.Name})

	if fault.KindOf(err) != fault.Unsupported || !strings.Contains(fmt.Sprint(err), "takes no groups of several rows") {
		t.Errorf("%v", err)
	}
}

// careless is a policy that gives any weight to its method.
type careless struct{ proof.Policy }

func (p careless) Decide(w *plan.Weight, o *recipe.Options) (plan.Verdict, error) {
	v, err := p.Recipe.Decide(w, o)
	v.Scheme.Method = p.Method
	return v, err
}
