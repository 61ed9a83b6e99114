package pickle_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nlpodyssey/gopickle/types"

	"nibble/quant/fault"
	"nibble/quant/format/pickle"
)

// machine runs a text, in which only sum may be called; it takes work for each number.
func machine(text string) (*pickle.Machine, func() (any, int64, error)) {
	m := &pickle.Machine{File: "f", R: strings.NewReader(text), Remedy: "do otherwise"}
	m.FindClass = func(module, name string) (any, error) {
		if module+"."+name != "own.sum" {
			return nil, fmt.Errorf("%s.%s may not be named", module, name)
		}
		return sum(func(n int) error { return m.Spend(n) }), nil
	}
	return m, func() (any, int64, error) { return m.RunAt(0, int64(len(text))) }
}

type sum func(work int) error

func (f sum) Call(args ...any) (any, error) {
	n := 0
	for _, a := range args {
		i, ok := a.(int)
		if !ok {
			return nil, errors.New("no number")
		}
		n += i
	}
	return n, f(n)
}

// What is on the allow-list is called, by the names that the pickle has, and where the pickle ends is known.
func TestMachine(t *testing.T) {
	m, run := machine("\x80\x02cown\nsum\nK\x02K\x03\x86R.rest")
	got, end, err := run()
	if err != nil || got != 5 || end != 18 {
		t.Errorf("%v, ends at %d, %v", got, end, err)
	}
	m.Persistent = func(id any) (any, error) { return fmt.Sprint("of ", id), nil }
	if got, err := m.Run([]byte("\x80\x02]X\x01\x00\x00\x00aQa."), 0); err != nil ||
		fmt.Sprint(*got.(*types.List)) != "[of a]" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestMachineRefuses(t *testing.T) {
	for text, says := range map[string]string{
		"\x80\x02cos\nsystem\nX\x01\x00\x00\x00a\x85R.": "os.system may not be named",
		"\x80\x02ccollections\nx\n.":                    "collections.x may not be named",
		"\x80\x02X\x01\x00\x00\x00aQ.":                  "a persistent id where none belongs",
		"\x80\x02cown\nsum\nJ\x00\x00\x00\x7f\x85R.":    "it asks for more work",
		"\x80\x02iown\nsum\n.":                          "opcode 0x69, which no state dict needs; do otherwise",
		"\x80\x02K\x01":                                 "the pickle has no end",
		"\x80\x02h\x07.":                                "it fetches memo entry 7, which it never wrote",
		"":                                              "the file ends where a pickle belongs",
		"\x80\x02" + strings.Repeat("(", 300) + ".":     "nests or allocates more",
	} {
		_, run := machine(text)
		_, _, err := run()
		if fault.KindOf(err) == "" || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
	if pickle.Runnable([]byte("\x80\x02K\x01")) || !pickle.Runnable([]byte("\x80\x02K\x01.")) {
		t.Error("one that cannot be run is called runnable, or the other way round")
	}
}

// FuzzMachine runs any bytes, which end in a value or an error.
func FuzzMachine(f *testing.F) {
	f.Add([]byte("\x80\x02cown\nsum\nK\x02K\x03\x86R."))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, run := machine(string(text))
		if _, end, err := run(); err == nil && (end <= 0 || end > int64(len(text))) {
			t.Errorf("%q ends at %d", text, end)
		}
	})
}
