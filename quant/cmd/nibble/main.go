// Command nibble is the core on the command line:
//
//	nibble inspect PATH...  [--part NAME]... [--json]
//	nibble plan    PATH...  [--for PLACE] [--config FILE] [--to CONTAINER] [OPTIONS] [--json] [--export FILE]
//	nibble convert PATH...  [the same] -o OUT [--report FILE]... [--hash] [--force]
//	nibble verify  OUT --against PATH... [--part NAME]... [--json]
//	nibble python  OUT
//	nibble version
//
// docs/command.md has every option. A report is JSON, CSV or HTML by the ending of its name.
//
// Results go to standard output, progress and errors to standard error. An error is
// one line: what, where, what to do. The exit status is 0 only when the file is
// complete (convert), or in order (verify); 1 is an error, 2 a wrong call.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"

	"nibble/quant"
)

func main() {
	// Tiles live shortly: collect them early, so that memory stays what is in use.
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(memory)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// memory is what Go may take before its collector hurries, in bytes, beside that of each tensor.
const memory = 160 << 20

// roomFor lets Go take the memory of so many tensors, too.
func roomFor(tensors int) { debug.SetMemoryLimit(memory + int64(tensors)*quant.MemoryPerTensor) }

const usage = `nibble turns a model checkpoint into a 4-bit one.

  nibble inspect PATH...  [--part NAME]... [--json]
  nibble plan    PATH...  [--for PLACE] [--config FILE] [--to CONTAINER] [OPTIONS] [--json] [--export FILE]
  nibble convert PATH...  [the same] -o OUT [--report FILE]... [--hash] [--force]
  nibble verify  OUT --against PATH... [--part NAME]... [--json]
  nibble python  OUT                     the lines of Python that load OUT where it runs, or take it to Core ML
  nibble version

PATH       a PyTorch checkpoint (.pt, .pth, .bin, .ckpt, .pt2), a .safetensors file, or a folder with one, or with
           the shards of one and their index
OUT        a file; of a model that is a folder (of Hugging Face's form, or in shards), a folder that is new or empty
PLACE      where the result is to run: transformers (which is meant for a folder whose config.json names an
           architecture, without --to and --config), vllm, mlx
CONTAINER  packed (default), int8 (with --high-nibble sign or zero), coremltools, mlx (the same as --for mlx)
--config   a coremltools PostTrainingQuantizerConfig in JSON or YAML; without it: int4, blocks of 32 (of 128 for
           transformers and vllm, of 64 for mlx), or what --dtype int4|uint4|int8|uint8,
           --granularity per_block|per_channel|per_tensor, --group-size N and --scheme symmetric|affine say for
           all layers
--export   writes the recipe as a config, JSON or YAML, that makes coremltools do the same; for a place, one that
           names it, for Nibble
--force    replaces an output that is there
--report   a report in JSON, CSV or HTML, by the ending of the name; may be given several times
--hash     puts the SHA-256 of inputs and outputs into the reports
--workers  how many threads convert works with (--workers N); without it as many as there are cores
--quiet    prints no progress, notes or summary: what was asked for, warnings and errors alone
--json     prints JSON

OPTIONS
--module-type PATTERN=CLASS   sets the class of the modules that a pattern (Python's re.fullmatch) matches:
                              Linear, Conv1d-3d, ConvTranspose1d-3d, MultiheadAttention, Embedding, or Module
                              for anything else, which is kept; may be given several times, the first match wins
--include-embeddings          quantize embeddings too, which coremltools cannot
--coremltools-skips           keep each layer that coremltools would skip: blocks that are not smaller than the
                              input channels, ConvTranspose layers that it tests on the wrong axis
--keep-unfit                  keep tensors that hold NaN or infinity instead of stopping at the first
--allow-none                  convert, too, where nothing would be quantized
--part NAME                   of a file that holds several models (EMA weights beside live ones, parts of a
                              pipeline), the one to take; may be given several times. inspect lists them
`

// errUsage is a wrong call.
var errUsage = errors.New("")

// commands is the literal table.
var commands = map[string]func(ctx context.Context, c *call) error{
	"inspect": inspect,
	"plan":    planCommand,
	"convert": convertCommand,
	"verify":  verifyCommand,
	"python":  pythonCommand,
	"version": versionCommand,
}

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	if args[0] == "-h" || args[0] == "--help" || args[0] == "help" {
		if _, err := fmt.Fprint(stdout, usage); err != nil {
			return 1
		}
		return 0
	}
	command, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(stderr, "nibble: there is no command %q; use inspect, plan, convert, verify, python or version\n",
			args[0])
		return 2
	}
	out := &errWriter{w: bufio.NewWriter(stdout)}
	c := &call{stdout: out, stderr: stderr, outside: map[string]bool{}}
	if err := c.parse(args[0], args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stdout, usage)
			return 0
		}
		fmt.Fprintf(stderr, "nibble: %s; nibble --help lists the options\n", visible(err.Error()))
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), stopping...)
	defer stop()
	c.ask = asker(ctx, stderr)
	context.AfterFunc(ctx, stop) // the second one ends the command wherever it is
	err := command(ctx, c)
	c.close()
	if failed := out.flush(); err == nil && failed != nil {
		err = fmt.Errorf("the result could not be printed: %w", failed)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "nibble: %s; nibble --help lists the options\n", visible(strings.TrimPrefix(err.Error(), ": ")))
		return 2
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("it was stopped, and left nothing behind")
	}
	fmt.Fprintf(stderr, "nibble: %s\n", visible(err.Error()+optionFor(err)))
	return 1
}

// asker asks a person, where one is at a terminal; it is nil elsewhere. To be stopped is to say no.
func asker(ctx context.Context, stderr io.Writer) func(question string) bool {
	f, ok := stderr.(*os.File)
	if !ok || !isTerminal(f) || !isTerminal(os.Stdin) {
		return nil
	}
	return func(question string) bool {
		fmt.Fprint(f, question)
		answers := make(chan string, 1)
		go func() {
			line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
			answers <- strings.ToLower(strings.TrimSpace(line))
		}()
		select {
		case answer := <-answers:
			return answer == "y" || answer == "yes"
		case <-ctx.Done():
			return false
		}
	}
}

// isTerminal reports whether a file is a terminal.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// errWriter is standard output, which can be full: it keeps its first error, and a command whose result was not
// printed has failed.
type errWriter struct {
	w   *bufio.Writer
	err error
}

func (s *errWriter) Write(b []byte) (int, error) {
	if s.err == nil {
		_, s.err = s.w.Write(b)
	}
	return len(b), s.err
}

func (s *errWriter) flush() error {
	if s.err == nil {
		s.err = s.w.Flush()
	}
	return s.err
}
