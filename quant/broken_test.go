package quant_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"nibble/quant"
	"nibble/quant/fault"
	"nibble/quant/plan"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
)

// broken is one file with one fault, the kind of error it must give, and a part of the
// message that shows the right check saw it.
type broken struct {
	name string
	make func(t testing.TB) []byte
	kind fault.Kind
	says string
}

func header(text string, data int) func(testing.TB) []byte {
	return func(testing.TB) []byte { return testkit.RawSafetensors(text, data) }
}

// pickled makes a torch zip around a pickle, with one storage of 16 bytes.
func pickled(p string) func(testing.TB) []byte {
	return func(testing.TB) []byte {
		return testkit.Zip("archive/data.pkl", p, "archive/version", "3\n", "archive/data/0", strings.Repeat("\x00", 16))
	}
}

// stateDict is a pickle {"w": tensor} whose storage line and arguments are given.
func stateDict(storage, args string) string {
	return "\x80\x02}X\x01\x00\x00\x00w" + "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + args + "\x89ccollections\nOrderedDict\n)RtRs."
}

const (
	storage4 = "(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
	dense22  = "K\x00K\x02K\x02\x86K\x02K\x01\x86" // offset 0, size (2, 2), stride (2, 1)
)

var brokenFiles = []broken{
	{"empty", func(testing.TB) []byte { return nil }, fault.Format, "empty"},
	{"text", func(testing.TB) []byte { return []byte("hello, this is not a model at all") }, fault.Unsupported, "not a model file"},
	{"html", func(testing.TB) []byte { return []byte("<!DOCTYPE html><html><body>404</body></html>") }, fault.Unsupported, "web page"},
	{"lfs", func(testing.TB) []byte { return []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\n") }, fault.Unsupported, "LFS"},
	{"gguf", func(testing.TB) []byte { return []byte("GGUF\x03\x00\x00\x00 and more of it") }, fault.Unsupported, "GGUF"},
	{"bare pickle", func(testing.TB) []byte { return []byte("\x80\x02}q\x00.") }, fault.Unsupported, "pickle"},

	{"st: header longer than file", func(testing.TB) []byte { return testkit.RawSafetensors(`{"a":1}`, 0)[:10] }, fault.Format, "claims 7 bytes"},
	{"st: not JSON", header(`{"a" 1}`, 0), fault.Format, "not valid JSON"},
	{"st: bad UTF-8", header("{\"\xff\":{}}", 0), fault.Format, "UTF-8"},
	{"st: doubled name", header(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), fault.Format, "duplicate"},
	{"st: unknown dtype", header(`{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,1]}}`, 1), fault.Format, `"F99"`},
	{"st: rare dtype", header(`{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}`, 1), fault.Unsupported, "F4"},
	{"st: negative size", header(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1), fault.Format, "-1"},
	{"st: rank", header(`{"a":{"dtype":"U8","shape":[1`+strings.Repeat(",1", 64)+`],"data_offsets":[0,1]}}`, 1), fault.Format, "more than 64"},
	{"st: fraction", header(`{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}`, 1), fault.Format, "1.0"},
	{"st: huge size", header(`{"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]}}`, 1), fault.Format, "not a size"},
	{"st: overflow", header(`{"a":{"dtype":"F32","shape":[1000000000000,1000000000000],"data_offsets":[0,1]}}`, 1), fault.Format, "overflows"},
	{"st: size mismatch", header(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4), fault.Format, "takes 8 bytes"},
	{"st: reversed offsets", header(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[4,0]}}`, 4), fault.Format, "data_offsets"},
	{"st: hole", header(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, 3), fault.Format, "hole"},
	{"st: overlap", header(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), fault.Format, "overlaps"},
	{"st: trailing bytes", header(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 9), fault.Format, "no tensor"},
	{"st: data cut short", header(`{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}`, 3), fault.Format, "cut short"},
	{"st: missing field", header(`{"a":{"dtype":"U8","shape":[1]}}`, 1), fault.Format, "lacks"},
	{"st: metadata number", header(`{"__metadata__":{"a":1}}`, 0), fault.Format, "not a string"},
	{"st: broken null", header(`{"__metadata__":nul}`, 0), fault.Format, "not valid JSON"}, // found by fuzzing
	{"st: broken list", header(`{"a":{"dtype":"U8","shape":[1,}}`, 0), fault.Format, "not valid JSON"},
	{"st: no tensors", header("{}", 0), fault.Unsupported, "no tensors"}, // found by fuzzing
	{"st: goes on", header(`{} {}`, 0), fault.Format, "goes on"},

	{"zip: no pickle", func(testing.TB) []byte { return testkit.Zip("readme.txt", "hello") }, fault.Unsupported, "without a PyTorch checkpoint"},
	{"zip: torchscript", func(testing.TB) []byte { return testkit.Zip("m/data.pkl", "\x80\x02}.", "m/constants.pkl", "") }, fault.Unsupported, "TorchScript"},
	{"zip: big endian", func(testing.TB) []byte { return testkit.Zip("m/data.pkl", "\x80\x02}.", "m/byteorder", "big") }, fault.Unsupported, "big"},
	{"zip: two pickles", func(testing.TB) []byte { return testkit.Zip("a/data.pkl", "\x80\x02}.", "b/data.pkl", "\x80\x02}.") }, fault.Format, "two pickles"},
	{"zip: two pickles, one at the root", func(testing.TB) []byte { return testkit.Zip("data.pkl", "\x80\x02}.", "b/data.pkl", "\x80\x02}.") }, fault.Format, "two pickles"},
	{"zip: doubled entry", func(testing.TB) []byte { return testkit.Zip("a/data.pkl", "\x80\x02}.", "a/data.pkl", "\x80\x02}.") }, fault.Format, "two entries"},

	{"pickle: os.system", pickled("\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R."), fault.Unsupported, "os.system"},
	{"pickle: builtins.eval", pickled("\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R."), fault.Unsupported, "builtins.eval"},
	{"pickle: whole module", pickled("\x80\x02ctorch.nn.modules.linear\nLinear\n)\x81."), fault.Unsupported, "torch.nn.modules.linear.Linear"},
	{"pickle: empty", pickled(""), fault.Format, "no end"},
	{"pickle: no stop", pickled("\x80\x02}"), fault.Format, "no end"},
	{"pickle: cut in text", pickled("\x80\x02X\xff\x00\x00\x00abc"), fault.Format, "ends inside"},
	{"pickle: huge bytes", pickled("\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f."), fault.Format, "ends inside"},
	{"pickle: huge frame", pickled("\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f."), fault.Format, "ends inside"},
	{"pickle: opcode", pickled("\x80\x02\xfe."), fault.Unsupported, "0xfe"},
	{"pickle: empty stack", pickled("\x80\x020."), fault.Format, "broken"},
	{"pickle: marks", pickled("\x80\x02" + strings.Repeat("(", 100000) + "."), fault.Format, "nests"},
	{"pickle: many dicts", pickled("\x80\x02" + strings.Repeat("}", 3000000) + "."), fault.Format, "allocates"},
	{"pickle: unhashable key", pickled("\x80\x02ccollections\nOrderedDict\n)R](K\x01es."), fault.Format, "broken"},
	{"pickle: list called", pickled("\x80\x02]q\x00h\x00ah\x00)R."), fault.Format, "broken"},
	// Each of the next rows once took gigabytes or minutes.
	{"pickle: a text printed many times", pickled("\x80\x02X\x00\x00\x10\x00" + strings.Repeat("x", 1<<20) + "q\x000](" + strings.Repeat("h\x00", 1000) + "e)R."), fault.Format, "allocates"},
	{"pickle: many pairs", pickled("\x80\x02}(" + strings.Repeat("K\x00N", 600000) + "u."), fault.Format, "allocates"},
	{"pickle: many values", pickled("\x80\x02" + strings.Repeat("N", 2000000) + "."), fault.Format, "allocates"},
	{"pickle: a big dict in many places", pickled("\x80\x02}(" + strings.Repeat("I7\n", 2*100000) + "uq\x000}(" + manyKeys(20000, "h\x00") + "u."), fault.Unsupported, "no tensors"},
	{"pickle: a dict in itself", pickled("\x80\x02}q\x00X\x05\x00\x00\x00modelh\x00s."), fault.Unsupported, "no tensors"},
	{"pickle: memo never written", pickled("\x80\x02}X\x01\x00\x00\x00ah\x05s."), fault.Format, "memo entry 5"},
	{"pickle: a number", pickled("\x80\x02K\x05."), fault.Unsupported, "an integer"},
	{"pickle: no tensors", pickled("\x80\x02}X\x01\x00\x00\x00aK\x01s."), fault.Unsupported, "no tensors"},
	{"pickle: odd items", pickled("\x80\x02}(K\x01u."), fault.Format, "broken"},

	{"tensor: missing storage", pickled(stateDict(strings.Replace(storage4, "\x000X", "\x007X", 1), dense22)), fault.Format, "not in the zip"},
	{"tensor: storage size", pickled(stateDict(strings.Replace(storage4, "K\x04t", "K\x05t", 1), dense22)), fault.Format, "should hold 5"},
	{"tensor: offset", pickled(stateDict(storage4, "K\x01K\x02K\x02\x86K\x02K\x01\x86")), fault.Format, "reaches beyond"},
	{"tensor: stride", pickled(stateDict(storage4, "K\x00K\x02K\x02\x86K\x03K\x01\x86")), fault.Format, "reaches beyond"},
	{"tensor: negative stride", pickled(stateDict(storage4, "K\x00K\x02K\x02\x86J\xff\xff\xff\xffK\x01\x86")), fault.Format, "no sound offset"},
	{"tensor: ranks differ", pickled(stateDict(storage4, "K\x00K\x02K\x02\x86K\x01\x85")), fault.Format, "no sound offset"},
	{"tensor: huge shape", pickled(stateDict(storage4, "K\x00\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85K\x01\x85")), fault.Format, "reaches beyond"},
	{"tensor: expanded to petabytes", pickled(stateDict(storage4, "K\x00\x8a\x07\xff\xff\xff\xff\xff\xff\x03\x85K\x00\x85")), fault.Unsupported, "repeat the same values"},
	{"tensor: negated", pickled(strings.Replace(stateDict(storage4, dense22), ")RtR", ")R}X\x03\x00\x00\x00neg\x88stR", 1)), fault.Unsupported, "pending operation (neg)"},
	{"tensor: no storage", pickled(stateDict("K\x01", dense22)), fault.Format, "typed storage"},
}

// manyKeys makes pairs of a key of its own each and one value.
func manyKeys(n int, value string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "I%d\n%s", i, value)
	}
	return b.String()
}

func TestBrokenFiles(t *testing.T) {
	for _, b := range brokenFiles {
		t.Run(b.name, func(t *testing.T) {
			_, err := open("broken", b.make(t))
			var f *fault.Error
			if !errors.As(err, &f) {
				t.Fatalf("error is %v, not a fault", err)
			}
			if f.Kind != b.kind || !strings.Contains(err.Error(), b.says) || f.File != "broken" {
				t.Errorf("%s error %q, want %s with %q", f.Kind, err, b.kind, b.says)
			}
		})
	}
}

// The helper's good file must be good, or the rows above prove nothing.
func TestTheBrokenFilesAreOtherwiseSound(t *testing.T) {
	tensors, err := open("good", pickled(stateDict(storage4, dense22))(t))
	if err != nil || len(tensors) != 1 || fmt.Sprint(tensors[0].Shape) != "[2 2]" {
		t.Errorf("%v, %v", tensors, err)
	}
}

// everything runs bytes through all that a user could do with them. It may refuse; it
// must not panic, and what it accepts must convert and verify.
func everything(t testing.TB, b []byte) {
	c, err := quant.Inspect([]*tensor.File{testkit.File("x", b)})
	if err != nil {
		if fault.KindOf(err) == "" {
			t.Errorf("error is no fault: %v", err)
		}
		return
	}
	for _, o := range outputs {
		j, err := quant.Plan(c, parse(t, recipes[0]), plan.Options{}, o)
		if err != nil || j.Layout.Bytes > 1<<20 {
			continue
		}
		out, _, err := convert(t, b, recipes[0], o, 1)
		if err != nil {
			if fault.KindOf(err) == "" {
				t.Errorf("error is no fault: %v", err)
			}
			continue
		}
		v, err := quant.Verify([]*tensor.File{testkit.File("out", out)}, []*tensor.File{testkit.File("x", b)}, nil)
		if err != nil || !v.OK {
			t.Errorf("%+v: verify says %+v, %v", o, v, err)
		}
	}
}

// seeds are whole, small, good files of each format.
func seeds(t testing.TB) [][]byte {
	return [][]byte{
		testkit.Fixture(t, ".", "small.safetensors"), testkit.Fixture(t, ".", "protocol2.pt"), testkit.Fixture(t, ".", "protocol4.pt"),
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
	for _, b := range brokenFiles {
		if s := b.make(f); len(s) < 4096 {
			f.Add(s)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { everything(t, b) })
}
