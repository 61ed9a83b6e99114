package tensor

import (
	"fmt"
	"strings"
	"testing"
)

// As many weights as a model may have pass, each with what the containers keep beside it, in the orders
// that they have; one more does not.
func TestTally(t *testing.T) {
	for _, c := range []struct {
		first []string // of every weight, before all others
		each  []string
	}{
		{nil, []string{""}},
		{[]string{"_shape"}, []string{"_packed", "_scale", "_zero_point"}},
		{[]string{"_scale", "_shape"}, []string{"_packed", "_zero_point"}},
		{nil, []string{"", "._COREML_/weight/a", "._COREML_/weight/b", "._COREML_/weight/c", "._COREML_/weight/d"}},
	} {
		var tally Tally
		for _, ending := range c.first {
			for i := range MaxWeights {
				if what := tally.Add(fmt.Sprint(i, ending)); what != "" {
					t.Fatalf("%v: %d%s: %s", c, i, ending, what)
				}
			}
		}
		for i := range MaxWeights {
			for _, ending := range c.each {
				if what := tally.Add(fmt.Sprint(i, ending)); what != "" {
					t.Fatalf("%v: %d%s: %s", c, i, ending, what)
				}
			}
		}
		if tally.Add("one more") == "" {
			t.Errorf("%v: one more passes", c)
		}
	}
	var scales Tally
	n := 0
	for scales.Add(fmt.Sprint(n, "_scale")) == "" {
		n++
	}
	if n != 2*MaxWeights {
		t.Errorf("%d scales without a weight pass", n)
	}
}

// A name as long as it may be passes, and as many as fit; what a container makes of each fits beside.
func TestTallyOfNames(t *testing.T) {
	var tally Tally
	long := strings.Repeat("n", MaxName-8)
	for i := range MaxNames / MaxName {
		for _, ending := range []string{"", "_scale", "_shape", "_zero_point"} {
			if what := tally.Add(fmt.Sprintf("%s%08d%s", long, i, ending)); what != "" {
				t.Fatalf("%d%s: %s", i, ending, what)
			}
		}
	}
	if what := tally.Add("x"); what != "the names of its tensors take more than 32 MB" {
		t.Errorf("one byte more: %q", what)
	}
	for _, name := range []string{strings.Repeat("n", MaxName+1), strings.Repeat("n", MaxName+65) + "_scale"} {
		if what := new(Tally).Add(name); !strings.HasPrefix(what, "a tensor has a name of 4") {
			t.Errorf("a name of %d bytes: %q", len(name), what)
		}
	}
}
