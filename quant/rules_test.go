package quant_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nibble/quant/container"
)

// stages is the arrow of README.md: a package may import only packages of lower rank.
var stages = map[string]int{
	"quant/fault": 0, "quant/tensor": 0, "quant/scheme": 0, "quant/layer": 0,
	"quant/pattern": 1, "quant/python": 1, "quant/kernel": 1, "quant/tile": 1, "quant/format": 2, "quant/format/pickle": 1,
	"quant/recipe": 2, "quant/model": 3, "quant/plane": 2,
	"quant/plan": 3, "quant/pack": 3, "quant/method/linear": 3, "quant/method/mlx": 3, "quant/method/relabel": 3,
	"quant/recipe/coremltools": 4, "quant/recipe/compressedtensors": 5, "quant/recipe/mlx": 5,
	"quant/method/apple": 4, "quant/method/minmax": 4, "quant/method": 5,
	"quant/layout":  6,
	"quant/convert": 7, "quant/report": 7, "quant/verify": 7, "quant/container/folder": 7,
	"quant/container/safetensors": 8,
	"quant/container/coremltools": 9, "quant/container/int8": 9, "quant/container/packed": 9, "quant/container/mlx": 9,
	"quant/container": 10, "quant/recipe/target": 10,
	"quant": 11, "quant/protocol": 12,
	"quant/cmd": 13, "quant/testkit": 13, "wasm": 13,
	"quant/testkit/broken/write": 14, "quant/testkit/readers": 15, "quant/testkit/proof": 15,
	"quant/testkit/proof/offset": 14, "quant/testkit/proof/blocks": 14, "quant/testkit/cases": 14,
	"quant/testkit/mutants": 15,
}

// strangers are packages that must not know each other, whatever their rank: each row is a folder and what it does not
// import.
var strangers = map[string][]string{
	"quant/method":        {"quant/pack", "quant/layout", "quant/plan", "quant/model", "quant/format"},
	"quant/pack":          {"quant/method", "quant/plan", "quant/scheme", "quant/layer"},
	"quant/plane":         {"quant/tensor", "quant/scheme"},
	"quant/format/pickle": {"quant/format/torch", "quant/tensor"},
	"quant/plan":          {"quant/recipe/coremltools", "quant/method", "quant/pack"},
	"quant/convert": {"quant/container", "quant/method/apple", "quant/method/minmax", "quant/method/mlx",
		"quant/model", "quant/recipe"},
	"quant/verify": {"quant/container", "quant/plan", "quant/recipe", "quant/convert", "quant/model",
		"quant/method/apple"},
	"quant/report": {"quant/container", "quant/convert", "quant/model"},
}

// within reports whether a package is a folder's, or lies below it.
func within(inner, dir string) bool { return inner == dir || strings.HasPrefix(inner, dir+"/") }

// rank finds the stage of a folder: its own, or that of the nearest folder above.
func rank(dir string) (int, bool) {
	for ; dir != "."; dir = filepath.ToSlash(filepath.Dir(dir)) {
		if n, ok := stages[dir]; ok {
			return n, ok
		}
	}
	return 0, false
}

// sources walks the Go files of the repository, tests left out.
func sources(t *testing.T, each func(dir, path string)) {
	n := 0
	for _, top := range []string{"quant", "wasm"} {
		err := filepath.WalkDir(filepath.Join("..", top), func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				n++
				rel, _ := filepath.Rel("..", path)
				each(filepath.ToSlash(filepath.Dir(rel)), path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 40 {
		t.Fatalf("only %d files were seen", n)
	}
}

func TestImportsFollowTheArrow(t *testing.T) {
	sources(t, func(dir, path string) {
		from, ok := rank(dir)
		if !ok {
			t.Errorf("%s has no place in the arrow: give it one in this test", dir)
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range f.Imports {
			name := strings.Trim(imported.Path.Value, `"`)
			if (name == "syscall/js" || strings.HasSuffix(name, "/safejs")) && dir != "wasm" {
				t.Errorf("%s imports %s: the browser lives in wasm/ alone", path, name)
			}
			inner, ours := strings.CutPrefix(name, "nibble/")
			if to, _ := rank(inner); ours && to >= from {
				t.Errorf("%s imports %s, against the arrow", path, name)
			}
			for folder, others := range strangers {
				for _, other := range others {
					if within(dir, folder) && ours && within(inner, other) {
						t.Errorf("%s imports %s, which %s must not know", path, name, folder)
					}
				}
			}
		}
	})
}

// quoted is a literal of Go in double quotes.
var quoted = regexp.MustCompile(`"([^"\\\n]|\\.)*"`)

// namesContainers are folders where a container's name means something else, or is said to people.
var namesContainers = []string{
	"quant/testkit", "quant/cmd", // the command's help
	"quant/model",                                  // what quantized a model before
	"quant/scheme", "quant/format", "quant/recipe", // dtypes
	"quant/method", // MLX's
}

// What is true of one container alone is said in its folder: no literal elsewhere is its name, and packed, whose name
// is no tool's and no dtype's, stands in no sentence either.
func TestContainersAreNamedAtHome(t *testing.T) {
	word := regexp.MustCompile(`(^|[^\w])packed([^\w]|$)`)
	for _, row := range container.Table {
		sources(t, func(dir, path string) {
			if within(dir, "quant/container/"+row.Name) ||
				slices.ContainsFunc(namesContainers, func(home string) bool { return within(dir, home) }) {
				return
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range strings.Split(string(text), "\n") {
				if strings.HasPrefix(strings.TrimSpace(line), "//") || strings.Contains(line, `"nibble/quant`) {
					continue
				}
				for _, found := range quoted.FindAllString(line, -1) {
					if found == strconv.Quote(row.Name) || row.Name == "packed" && word.MatchString(found) {
						t.Errorf("%s:%d names the container %s: %s", path, i+1, row.Name, found)
					}
				}
			}
		})
	}
}

func TestWasmFilesAreTagged(t *testing.T) {
	sources(t, func(dir, path string) {
		if dir != "wasm" {
			return
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "//go:build js && wasm\n") {
			t.Errorf("%s does not begin with //go:build js && wasm", path)
		}
	})
}
