package tensor

import "strings"

// MaxWeights bounds a model, in all its files: the largest known have 150,000 tensors. What a container
// keeps beside a weight (its scales, its zero points, its shape) does not count, so that whatever is
// converted can be opened again.
const MaxWeights = 1 << 18

// MostTensors is how many a Tally counts at most: each weight, and four tensors beside it.
const MostTensors = 5 * MaxWeights

// besides are the endings of the names of these tensors in packed and int8, which are also those of
// compressed-tensors.
var besides = []string{"_scale", "_zero_point", "_shape"}

// Tally counts the tensors of a model.
type Tally struct{ weights, beside int }

// Add counts a tensor by its name and reports whether there are not too many yet. Files may hold two
// tensors beside each weight, of all weights, before the first weight comes; a file that has no weights
// is found out there.
func (t *Tally) Add(name string) bool {
	beside := strings.Contains(name, "_COREML_/")
	for _, ending := range besides {
		beside = beside || strings.HasSuffix(name, ending)
	}
	if beside {
		t.beside++
	} else {
		t.weights++
	}
	return t.weights <= MaxWeights && t.beside <= 2*MaxWeights+2*t.weights
}
