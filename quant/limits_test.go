package quant_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"

	"nibble/quant"
	executor "nibble/quant/convert"
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
// their last digits. Verify agrees with every output, and sees that of another case.
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
				o.Hands = append(o.Hands, &distant{worker: executor.Worker{Limits: c.Limits}, files: c.Files, random: rand.New(rand.NewPCG(uint64(i), 9))})
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
		out, err := quant.InspectOutput(files)
		if err != nil {
			t.Errorf("%v: %v", c, err)
			continue
		}
		v, err := quant.VerifyOpened(out, j.Checkpoint, c.Limits, nil)
		if err != nil || !v.OK {
			t.Errorf("%v: verify says %+v, %v", c, v, err)
		}
	}
	if quantized < int(n) {
		t.Errorf("only %d weights were quantized in %d cases", quantized, n)
	}
}

// differences holds an output and its report against the plain reference.
func differences(t *testing.T, c *cases.Case, j *quant.Job, files []*tensor.File, r *report.Report) (problems []string) {
	t.Helper()
	limits := c.Limits.Filled()
	want, figures, err := plain.Output(j.Plan, c.Container, limits.Samples)
	if err != nil {
		t.Fatal(err)
	}
	out, err := quant.Inspect(files)
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
		counted := len(j.Plan.Entries)
		if j.Checkpoint.Sharded { // each file is a conversion of its own
			counted = 0
			for _, from := range j.Checkpoint.From {
				if from == j.Checkpoint.From[i] {
					counted++
				}
			}
		}
		if what := f.Differ(&r.Tensors[i], counted <= limits.Histograms); what != "" {
			problems = append(problems, fmt.Sprintf("%s: %s", r.Tensors[i].Name, what))
		}
	}
	return problems
}
