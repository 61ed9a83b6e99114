package tensor

import (
	"fmt"
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
				if !tally.Add(fmt.Sprint(i, ending)) {
					t.Fatalf("%v: %d%s is too many", c, i, ending)
				}
			}
		}
		for i := range MaxWeights {
			for _, ending := range c.each {
				if !tally.Add(fmt.Sprint(i, ending)) {
					t.Fatalf("%v: %d%s is too many", c, i, ending)
				}
			}
		}
		if tally.Add("one more") {
			t.Errorf("%v: one more passes", c)
		}
	}
	var scales Tally
	n := 0
	for scales.Add(fmt.Sprint(n, "_scale")) {
		n++
	}
	if n != 2*MaxWeights {
		t.Errorf("%d scales without a weight pass", n)
	}
}
