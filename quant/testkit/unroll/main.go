// Command unroll makes the SIMD twins whose loops are unrolled (quant/kernel/unrolled_*simd.go), of which it has the
// one template. It writes the file that is named, or prints it. ./build.sh generate runs it by go generate; ./build.sh
// check fails when running it again would change a file.
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed unrolled.go.tmpl
var source string

// twin is one SIMD twin of Quantize.
type twin struct {
	Name, Doc string
	Half      string // whether its arithmetic is float16's, as an expression
	Symmetric bool   // it has no zero points
	Float     bool   // its zero points are added as floats
	Top       bool   // its codes are clipped above, and it has no zero points
	Bottom    bool   // and below
	Step      string // the call that makes the code and the value of four weights
}

// file is what a generated file holds.
type file struct {
	Whole  []twin // twins for groups of a multiple of 32 weights
	Short  *twin  // the twin for groups of a multiple of 8, and that of measure; nil for neither
	Offset bool   // the twin for offsets
}

// files are the generated ones, by their names.
var files = map[string]file{
	"unrolled_simd.go": {Whole: coremltools, Short: &twin{Half: "half"}}, "unrolled_brain_simd.go": {Whole: brain},
	"unrolled_minmax_simd.go": {Whole: minMax}, "unrolled_symmetric_simd.go": {Whole: minMaxSymmetric},
	"unrolled_offset_simd.go": {Offset: true},
}

// coremltools are the twins for coremltools' arithmetic.
var coremltools = []twin{
	{
		Name: "quantizeSymmetric", Half: "false", Symmetric: true, Step: "symmetric(w, s, base)",
		Doc: `// quantizeSymmetric is the twin for symmetric codes in float32 arithmetic and groups of a multiple of 32 ` +
			`weights. What
// Params made of a symmetric range keeps the quotients within the codes but for rounding, so nothing is clipped.`,
	},
	{
		Name: "quantizeClipped", Half: "false", Step: "clipped(w, s, base, z, bottom, top)",
		Doc: `// quantizeClipped is the twin for codes with zero points, in float32 arithmetic, and groups of a multiple of 32
// weights.`,
	},
	{
		Name: "quantizeHalf", Half: "true", Step: "clippedHalf(w, s, base, z, bottom, top)",
		Doc: `// quantizeHalf is the twin for float16 arithmetic and groups of a multiple of 32 weights.`,
	},
}

// brain are those with scales and values of bfloat16.
var brain = []twin{
	{
		Name: "quantizeSymmetricBrain", Half: "false", Symmetric: true, Step: "symmetricBrain(w, s, base)",
		Doc: `// quantizeSymmetricBrain is quantizeSymmetric with scales and values of bfloat16.`,
	},
	{
		Name: "quantizeClippedBrain", Half: "false", Step: "clippedBrain(w, s, base, z, bottom, top)",
		Doc: `// quantizeClippedBrain is quantizeClipped with scales and values of bfloat16.`,
	},
}

// minMax are those for compressed-tensors' arithmetic.
var minMax = []twin{
	{
		Name: "quantizeMinMax", Half: "false", Float: true, Step: "minMax(w, s, base, z, bottom, top)",
		Doc: `// quantizeMinMax is the twin for compressed-tensors' arithmetic in float32, and groups of a multiple of 32 ` +
			`weights.`,
	},
	{
		Name: "quantizeMinMaxHalf", Half: "true", Float: true, Step: "minMaxHalf(w, s, base, z, bottom, top)",
		Doc: `// quantizeMinMaxHalf is quantizeMinMax in float16.`,
	},
	{
		Name: "quantizeMinMaxBrain", Half: "false", Float: true, Step: "minMaxBrain(w, s, base, z, bottom, top)",
		Doc: `// quantizeMinMaxBrain is quantizeMinMax in bfloat16.`,
	},
}

// minMaxSymmetric are those of them without zero points.
var minMaxSymmetric = []twin{
	{
		Name: "quantizeMinMaxSymmetric", Half: "false", Top: true, Step: "minMaxSymmetric(w, s, base, top)",
		Doc: `// quantizeMinMaxSymmetric is quantizeMinMax for symmetric codes: none lies below the least.`,
	},
	{
		Name: "quantizeMinMaxSymmetricHalf", Half: "true", Top: true, Bottom: true,
		Step: "minMaxSymmetricHalf(w, s, base, bottom, top)",
		Doc:  `// quantizeMinMaxSymmetricHalf is quantizeMinMaxSymmetric in float16.`,
	},
	{
		Name: "quantizeMinMaxSymmetricBrain", Half: "false", Top: true, Step: "minMaxSymmetricBrain(w, s, base, top)",
		Doc: `// quantizeMinMaxSymmetricBrain is quantizeMinMaxSymmetric in bfloat16.`,
	},
}

// step is one of the eight vectors of a round.
type step struct {
	Offset int // bytes from the round's first weight
	Shift  int // bits by which its codes are moved while four vectors are joined
	Codes  int // where the codes of the four vectors go
}

// steps are the first n of a round.
func steps(n int) (all []step) {
	for i := range n {
		all = append(all, step{Offset: 16 * i, Shift: 8 * (i % 4), Codes: 16 * (i / 4)})
	}
	return all
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "unroll: name a file, and - to print it")
		os.Exit(2)
	}
	text, err := unrolled(filepath.Base(os.Args[1]))
	switch {
	case err != nil:
	case len(os.Args) == 2:
		err = os.WriteFile(os.Args[1], text, 0o666)
	default:
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "unroll:", err)
		os.Exit(1)
	}
}

// unrolled is the text of a file.
func unrolled(name string) ([]byte, error) {
	what, ok := files[name]
	if !ok {
		return nil, fmt.Errorf("there is no file %s", name)
	}
	t, err := template.New("unrolled").Funcs(template.FuncMap{"steps": steps}).Parse(source)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, what); err != nil {
		return nil, err
	}
	return format.Source(b.Bytes())
}
