package quant_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"

	"nibble/quant"
	executor "nibble/quant/convert"
	"nibble/quant/model"
	"nibble/quant/report"
	"nibble/quant/tensor"
	"nibble/quant/testkit/cases"
	"nibble/quant/testkit/plain"
)

// caseCount is how many random cases a test tries; NIBBLE_CASES asks for more.
func caseCount(t *testing.T) uint64 {
	if asked := os.Getenv("NIBBLE_CASES"); asked != "" {
		n, err := strconv.ParseUint(asked, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if runtime.GOOS == "js" {
		return 400
	}
	return 4000
}

// Whatever the sizes at which the executor goes another way, whoever works and however many: the output
// is what a plain reference makes of whole tensors, to the last bit, and so are the figures but for
// their last digits. Verify agrees with every output, and with none in which a bit is another. What cannot
// be quantized is found, and kept.
func TestTinyLimitsMakeTheSame(t *testing.T) {
	quantized, n := 0, caseCount(t)
	for seed := range n {
		c := cases.New(seed)
		j, err := c.Job()
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		if j.Plan.Conflict != nil { // tied weights with two verdicts
			continue
		}
		o := c.Options()
		if seed%4 == 0 { // workers elsewhere, which get their tasks as text
			for i := range c.Workers {
				o.Pool = append(o.Pool, &distant{worker: executor.Local{Limits: c.Limits}, files: c.Files,
					random: rand.New(rand.NewPCG(uint64(i), 9))})
			}
		}
		files, r, err := c.Convert(j, o)
		if err != nil {
			t.Errorf("%v: %v", c, err)
			continue
		}
		quantized += r.Totals.Quantized
		for _, problem := range differences(t, c, j, files, r) {
			t.Errorf("%v: %s", c, problem)
		}
		out, err := quant.OpenOutput(files)
		if err != nil {
			t.Errorf("%v: %v", c, err)
			continue
		}
		done, total := int64(0), int64(0)
		v, err := quant.VerifyModels(t.Context(), out, j.Model,
			quant.Options{Limits: c.Limits, Progress: func(n, all int64) { done, total = n, all }})

		if err != nil || !v.OK || done != total {
			t.Errorf("%v: verify says %+v, %v after %d of %d bytes", c, v, err, done, total)
			continue
		}
		for i := range v.Tensors {
			says, want := v.Tensors[i].MaxAbsError, r.Tensors[i].MaxAbsError
			if (says == nil) != (want == nil) || says != nil && math.Abs(*says-*want) > 1e-6*math.Abs(*want) {
				t.Errorf("%v: verify and the report have other largest errors of %s", c, v.Tensors[i].Name)
			}
		}
		if seed%8 == 0 {
			flip(t, c, j, out)
		}
	}
	if quantized < int(n) {
		t.Errorf("only %d weights were quantized in %d cases", quantized, n)
	}
}

// flip changes one bit of each tensor of an output, which verify must see.
func flip(t *testing.T, c *cases.Case, j *quant.Job, out *model.Model) {
	t.Helper()
	random := rand.New(rand.NewPCG(c.Seed, 5))
	for i := range out.State.Tensors {
		x := &out.State.Tensors[i]
		if x.Bytes() == 0 {
			continue
		}
		at, bit := x.Storage.Start+x.Offset+random.Int64N(x.Bytes()), byte(1)<<random.IntN(8)
		was := x.Storage.File.R
		x.Storage.File.R = flipped{was, at, bit}
		v, err := quant.VerifyModels(t.Context(), out, j.Model, quant.Options{Limits: c.Limits})
		x.Storage.File.R = was
		if err == nil && v.OK {
			t.Errorf("%v: verify does not see bit %d of byte %d of %s", c, bit, at-x.Storage.Start-x.Offset, x.Name)
		}
	}
}

// flipped is a file of which one bit is read as another.
type flipped struct {
	io.ReaderAt
	at  int64
	bit byte
}

func (f flipped) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.ReaderAt.ReadAt(b, at)
	if f.at >= at && f.at < at+int64(n) {
		b[f.at-at] ^= f.bit
	}
	return n, err
}

// surveyed is the job that a conversion does once it has found what cannot be quantized.
func surveyed(t *testing.T, c *cases.Case, j *quant.Job) *quant.Job {
	t.Helper()
	kept := map[string]string{}
	for i := range j.Plan.Entries {
		e := &j.Plan.Entries[i]
		if !e.Quantize {
			continue
		}
		if unfit, err := plain.Unfit(e); err != nil {
			t.Fatal(err)
		} else if unfit {
			kept[e.Tensor.Name] = "it holds no number"
		}
	}
	again := *c
	again.Plan.Keep = kept
	j, err := again.Job()
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// differences holds an output and its report against the plain reference.
func differences(t *testing.T, c *cases.Case, j *quant.Job, files []*tensor.File,
	r *report.Report) (problems []string) {
	t.Helper()
	limits := c.Limits.Filled()
	if c.Plan.KeepUnfit {
		j = surveyed(t, c, j)
	}
	want, figures, err := plain.Output(j.Plan, c.Container, limits.Samples)
	if err != nil {
		t.Fatal(err)
	}
	out, err := quant.Open(files, quant.Options{})
	if err != nil {
		return []string{err.Error()}
	}
	for i := range out.State.Tensors {
		x := &out.State.Tensors[i]
		w, ok := want[x.Name]
		if !ok {
			problems = append(problems, x.Name+" is too many")
			continue
		}
		delete(want, x.Name)
		raw, err := plain.Read(x)
		if err != nil {
			t.Fatal(err)
		}
		if x.DType != w.DType || fmt.Sprint(x.Shape) != fmt.Sprint(w.Shape) {
			problems = append(problems, fmt.Sprintf("%s is %s %v, not %s %v", x.Name, x.DType, x.Shape, w.DType, w.Shape))
		} else if !bytes.Equal(raw, w.Bytes) {
			problems = append(problems, fmt.Sprintf("%s has other bytes", x.Name))
		}
	}
	for name := range want {
		problems = append(problems, name+" is missing")
	}
	for i, f := range figures {
		if f == nil {
			continue
		}
		if what := f.Differ(&r.Tensors[i], len(j.Plan.Entries) <= limits.Histograms); what != "" {
			problems = append(problems, fmt.Sprintf("%s: %s", r.Tensors[i].Name, what))
		}
	}
	return problems
}
