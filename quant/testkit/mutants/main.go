// Command mutants puts one fault at a time into the executor, or into verify, and fails unless each is
// found: by the tests, which must turn red, and by verify, which must find every output whose bytes a
// fault has changed. It is ./build.sh mutants, and runs at the root of the repository.
//
// A fault is an overlay of the build (go help build, -overlay), so that no file is touched. The outputs
// are made by a build of this program with the fault in it (mutants write FOLDER), and held
// against their source by this one, which has none.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"nibble/quant"
	"nibble/quant/tensor"
	"nibble/quant/testkit/cases"
)

// caseCount is how many random cases the tests try, and how many outputs verify is shown, a mutant.
const caseCount = 1500

func main() {
	if len(os.Args) == 3 && os.Args[1] == "write" {
		write(os.Args[2])
		return
	}
	scratch, err := os.MkdirTemp("", "nibble-mutants-")
	if err != nil {
		fail("%v", err)
	}
	defer os.RemoveAll(scratch)
	clean := sources()
	// Red without a fault, or too slow, everything would look found.
	if text, err := run("test", "-count=1", "-timeout="+patience.String(), "-run", defaultTests, "./quant"); err != nil {
		fail("the tests are red without a fault:\n%s", text)
	}
	missed := 0
	for i, m := range mutants {
		if len(os.Args) > 1 && !strings.Contains(m.what, os.Args[1]) {
			continue
		}
		said, ok := try(m, filepath.Join(scratch, strconv.Itoa(i)), clean)
		if !ok {
			missed++
		}
		fmt.Printf("%2d %-8s %s: %s\n", i+1, map[bool]string{true: "found", false: "MISSED"}[ok], m.what, said)
	}
	if missed > 0 {
		os.RemoveAll(scratch)
		fail("%d mutants were not found", missed)
	}
}

func fail(text string, args ...any) {
	fmt.Fprintf(os.Stderr, "mutants: "+text+"\n", args...)
	os.Exit(1)
}

// try says what the tests and verify make of one mutant, and whether that is enough.
func try(m mutant, folder string, clean []output) (said string, ok bool) {
	overlay, err := m.overlay(folder)
	if err != nil {
		fail("%s: %v", m.what, err)
	}
	tests := m.tests
	if tests == "" {
		tests = defaultTests
	}
	args := []string{"test", "-overlay", overlay, "-count=1", "-timeout=" + patience.String(), "-run", tests}
	if m.race {
		args = append(args, "-race")
	}
	text, err := run(append(args, "./quant")...)
	switch {
	case strings.Contains(text, "[build failed]") || strings.Contains(text, "[setup failed]"):
		fail("%s does not compile:\n%s", m.what, text)
	case err == nil:
		return "the tests pass", false
	case m.race && !strings.Contains(text, "DATA RACE"):
		return "no race is reported", false
	}
	said = "tests red"
	if m.race || strings.HasPrefix(m.file, "verify/") {
		return said, true
	}
	out := filepath.Join(folder, "out")
	faulty := filepath.Join(folder, "faulty")
	if text, err = run("build", "-overlay", overlay, "-o", faulty, "./quant/testkit/mutants"); err != nil {
		fail("%s does not compile:\n%s", m.what, text)
	}
	if text, err = started(faulty, "write", out); err != nil { // it crashed, which nobody overlooks
		said += ", and it crashes (" + strings.SplitN(text, "\n", 2)[0] + ")"
	}
	changed, overlooked := compare(out, clean)
	if changed > 0 {
		said += fmt.Sprintf(", %d of %d outputs differ", changed, len(clean))
	}
	if len(overlooked) > 0 {
		return said + fmt.Sprintf(", and verify passes %d of them (%s)", len(overlooked), overlooked[0]), false
	}
	if changed > 0 {
		said += ", verify finds them all"
	}
	return said, true
}

// overlay writes the file with its fault, and the overlay that puts it in place.
func (m mutant) overlay(folder string) (path string, err error) {
	file := filepath.Join("quant", m.file)
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for _, e := range m.edits {
		if n := bytes.Count(text, []byte(e.from)); n != 1 {
			return "", fmt.Errorf("%q stands in %s %d times, not once", e.from, file, n)
		}
		text = bytes.Replace(text, []byte(e.from), []byte(e.to), 1)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	absolute, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	faulty := filepath.Join(folder, "faulty.go")
	if err := os.WriteFile(faulty, text, 0o644); err != nil {
		return "", err
	}
	config, err := json.Marshal(map[string]map[string]string{"Replace": {absolute: faulty}})
	if err != nil {
		return "", err
	}
	path = filepath.Join(folder, "overlay.json")
	return path, os.WriteFile(path, config, 0o644)
}

// patience is how long tests, or the cases, may take with a fault in the executor, which may stand still.
const patience = 2 * time.Minute

// run runs go and returns all it printed. What it started ends with it.
func run(args ...string) (string, error) { return started("go", args...) }

func started(program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience+time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, args...)
	c.WaitDelay = time.Second
	c.Env = append(os.Environ(), "NIBBLE_CASES="+strconv.Itoa(caseCount))
	text, err := c.CombinedOutput()
	return string(text), err
}

// output is what a case makes without a fault; no files when it is refused.
type output struct {
	c     *cases.Case
	files []*tensor.File
}

// sources are the outputs of all cases.
func sources() []output {
	all := make([]output, caseCount)
	for seed := range all {
		all[seed] = output{cases.New(uint64(seed)), convert(uint64(seed))}
	}
	return all
}

// convert makes the output of one case; nothing when it is refused or fails.
func convert(seed uint64) []*tensor.File {
	c := cases.New(seed)
	j, err := c.Job()
	if err != nil || j.Plan.Conflict != nil {
		return nil
	}
	files, _, err := c.Convert(j, c.Options())
	if err != nil {
		return nil
	}
	return files
}

// write puts the outputs of all cases into a folder, each in one of its own, in their order.
func write(folder string) {
	for seed := range caseCount {
		for _, f := range convert(uint64(seed)) {
			path := at(folder, seed, f)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				fail("%v", err)
			}
			if err := os.WriteFile(path, contents(f), 0o644); err != nil {
				fail("%v", err)
			}
		}
	}
}

func at(folder string, seed int, f *tensor.File) string {
	return filepath.Join(folder, strconv.Itoa(seed), f.Name)
}

func contents(f *tensor.File) []byte {
	b := make([]byte, f.Size)
	if n, err := f.R.ReadAt(b, 0); n < len(b) {
		fail("%s: %v", f.Name, err)
	}
	return b
}

// compare counts the outputs of a folder that differ from the clean ones, and names those that verify
// passes.
func compare(folder string, clean []output) (changed int, overlooked []string) {
	for seed, o := range clean {
		var files []*tensor.File
		differs := false
		for _, f := range o.files {
			b, err := os.ReadFile(at(folder, seed, f))
			if err != nil { // it failed with an error
				files = nil
				break
			}
			differs = differs || !bytes.Equal(b, contents(f))
			files = append(files, &tensor.File{Name: f.Name, Size: int64(len(b)), R: bytes.NewReader(b)})
		}
		if files == nil || !differs {
			continue
		}
		changed++
		if v, err := quant.Verify(context.Background(), files, o.c.Files, quant.Options{}); err == nil && v.OK {
			overlooked = append(overlooked, o.c.String())
		}
	}
	return changed, overlooked
}
