package tensor

import (
	"fmt"
	"strings"
)

// MaxWeights bounds a model, in all its files: the largest known have 150,000 tensors. What a container
// keeps beside a weight (its scales, its zero points, its shape) does not count, so that whatever is
// converted can be opened again.
const MaxWeights = 1 << 18

// MostTensors is how many a Tally counts at most: each weight, and four tensors beside it.
const MostTensors = 5 * MaxWeights

// besides are the endings of the names of these tensors in packed and int8, which are also those of
// compressed-tensors.
var besides = []string{"_scale", "_zero_point", "_shape"}

// MaxName bounds a name, and MaxNames all names of a model's weights, in bytes.
const (
	MaxName  = 4 << 10
	MaxNames = 32 << 20
)

// Tally counts the tensors of a model, and the bytes of their names.
type Tally struct{ weights, beside, names, besideNames int }

// Add counts a tensor by its name. It returns what there is too much of, in words, "" where there is not: whoever
// counts makes the error. Files may hold two tensors beside each weight, of all weights, before the first weight
// comes; a file that has no weights is found out there. Names beside a weight repeat its name.
func (t *Tally) Add(name string) (tooMuch string) {
	beside := strings.Contains(name, "_COREML_/")
	for _, ending := range besides {
		beside = beside || strings.HasSuffix(name, ending)
	}
	most := MaxName
	if beside {
		t.beside++
		t.besideNames += len(name)
		most += 64
	} else {
		t.weights++
		t.names += len(name)
	}
	switch {
	case len(name) > most:
		return fmt.Sprintf("a tensor has a name of %d bytes, more than %d", len(name), MaxName)
	case t.weights > MaxWeights || t.beside > 2*MaxWeights+2*t.weights:
		return fmt.Sprintf("there are more than %d tensors", MaxWeights)
	case t.names > MaxNames || t.besideNames > 2*MaxNames+2*t.names+64*t.beside:
		return fmt.Sprintf("the names of its tensors take more than %d MB", MaxNames>>20)
	}
	return ""
}
