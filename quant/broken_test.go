package quant_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"nibble/quant"
	"nibble/quant/fault"
	"nibble/quant/recipe"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
	"nibble/quant/testkit/broken"
)

// Each broken file gives the error that the table says, and nothing else of it is opened.
func TestBrokenFiles(t *testing.T) {
	cases := broken.All()
	if len(cases) < 300 {
		t.Errorf("only %d broken files", len(cases))
	}
	seen := map[string]bool{}
	for _, c := range cases {
		if seen[c.Name] {
			t.Errorf("two cases are named %s", c.Name)
		}
		seen[c.Name] = true
		t.Run(c.Name, func(t *testing.T) {
			_, err := quant.Open(filesOf(&c), quant.Options{})
			if wrong := c.Check(err); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

// filesOf is a case's file and those beside it.
func filesOf(c *broken.Case) []*tensor.File {
	files := []*tensor.File{testkit.File(c.File, c.Make())}
	for _, p := range c.Also {
		files = append(files, testkit.File(p.Name, p.Make()))
	}
	return files
}

// What the faults are put into is sound, or the table proves nothing.
func TestTheBrokenFilesAreOtherwiseSound(t *testing.T) {
	for _, c := range broken.Sound() {
		m, err := quant.Open(filesOf(&c), quant.Options{})
		if err != nil || len(m.State.Tensors) == 0 {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

// everything runs bytes through all that a user could do with them. It may refuse; it
// must not panic, and what it accepts must convert and verify.
func everything(t testing.TB, b []byte) {
	c, err := quant.Open([]*tensor.File{testkit.File("x", b)}, quant.Options{})
	if err != nil {
		if fault.KindOf(err) == "" {
			t.Errorf("error is no fault: %v", err)
		}
		return
	}
	for _, o := range outputs {
		j, err := testkit.Plan(c, parse(t, recipes[0]), recipe.Options{}, o)
		if err != nil || j.Output.Bytes > 1<<20 {
			continue
		}
		out, _, err := convert(t, b, recipes[0], o, 1)
		if err != nil {
			if fault.KindOf(err) == "" {
				t.Errorf("error is no fault: %v", err)
			}
			continue
		}
		v, err := quant.Verify(t.Context(), []*tensor.File{testkit.File("out", out)}, []*tensor.File{testkit.File("x", b)},
			quant.Options{})

		if err != nil || !v.OK {
			t.Errorf("%+v: verify says %+v, %v", o, v, err)
		}
	}
}

// seeds are whole, small, good files of each format.
func seeds(t testing.TB) [][]byte {
	return [][]byte{
		testkit.Fixture(t, ".", "small.safetensors"), testkit.Fixture(t, ".", "protocol2.pt"),
		testkit.Fixture(t, ".", "protocol4.pt"),
		testkit.Fixture(t, ".", "views.pt"), testkit.Fixture(t, ".", "wrapped-model.ckpt"),
		testkit.Safetensors(testkit.F32("a.weight", []int64{4, 64}, 1, -2, 3, 0.5), testkit.F32("a.bias", []int64{4}, 1)),
		testkit.Torch(testkit.F32("a.weight", []int64{4, 64}, 1, -2, 3, 0.5), testkit.F32("a.bias", []int64{4}, 1)),
	}
}

// Files cut at many places are refused as broken.
func TestTruncated(t *testing.T) {
	for i, b := range seeds(t) {
		for cut := 0; cut < len(b); cut += 1 + len(b)/97 {
			_, err := open("cut", b[:cut])
			if kind := fault.KindOf(err); kind == "" {
				t.Errorf("seed %d cut at %d of %d: error %v", i, cut, len(b), err)
			}
		}
	}
}

// Random bytes, and good files with random bytes in them.
func TestRandomBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		b := make([]byte, random.IntN(400))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		everything(t, b)
	}
	for _, seed := range seeds(t) {
		for range 150 {
			b := bytes.Clone(seed)
			for range 1 + random.IntN(4) {
				b[random.IntN(len(b))] = byte(random.Uint32())
			}
			everything(t, b)
		}
	}
}

// A header that claims 100 MB of a small file allocates nothing like it.
func TestLyingHeaderLength(t *testing.T) {
	b := binary.LittleEndian.AppendUint64(nil, 99_000_000)
	b = append(b, `{"a":`...)
	n := testing.AllocsPerRun(1, func() {
		if _, err := open("lie", b); fault.KindOf(err) != fault.Format {
			t.Errorf("error %v", err)
		}
	})
	if n > 100 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzReaders(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	for _, c := range broken.All() {
		if s := c.Make(); len(s) < 4096 {
			f.Add(s)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { everything(t, b) })
}
