package quant_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nibble/quant"
	"nibble/quant/container"
	executor "nibble/quant/convert"
	"nibble/quant/recipe"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/tensor"
	"nibble/quant/testkit"
	"nibble/quant/tile"
)

// distant is a worker that gets its tasks as text, as another process would, and takes its time.
type distant struct {
	worker executor.Local
	files  []*tensor.File
	random *rand.Rand
	did    *atomic.Int64
	fails  error
}

func (d *distant) Do(ctx context.Context, tasks []*executor.Task) ([]*executor.Result, error) {
	if d.fails != nil {
		return nil, d.fails
	}
	sent := make([]*executor.Task, len(tasks))
	for i, t := range tasks {
		file := 0
		if t.Tensor != nil {
			for k, f := range d.files {
				if t.Tensor.Storage.File == f {
					file = k
				}
			}
			x := *t.Tensor
			x.Storage.File = nil
			c := *t
			c.Tensor, t = &x, &c
		}
		text, err := json.Marshal(t)
		if err != nil {
			return nil, err
		}
		sent[i] = &executor.Task{}
		if err := json.Unmarshal(text, sent[i]); err != nil {
			return nil, err
		}
		if sent[i].Tensor != nil {
			sent[i].Tensor.Storage.File = d.files[file]
		}
	}
	if d.did != nil {
		time.Sleep(time.Duration(d.random.IntN(3)) * time.Millisecond)
		d.did.Add(int64(len(tasks)))
	}
	return d.worker.Do(ctx, sent)
}

func distants(n int, files []*tensor.File) ([]executor.Worker, *atomic.Int64) {
	did := &atomic.Int64{}
	var workers []executor.Worker
	for i := range n {
		workers = append(workers, &distant{files: files, random: rand.New(rand.NewPCG(uint64(i), 9)), did: did})
	}
	return workers, did
}

// small are limits by which the weight of large is many tiles and several batches.
var small = tile.Limits{Tile: 16 << 10, Batch: 256 << 10}

// large has a weight of more than a batch, by the small limits, whose blocks reach over all of it in
// recipes that say so, and small tensors around it.
func large(t testing.TB, d tensor.Type, spoil func(values []float32)) []byte {
	random := rand.New(rand.NewPCG(5, 6))
	values := make([]float32, 300*1024)
	for i := range values {
		values[i] = float32(random.NormFloat64()) / 8
	}
	if spoil != nil {
		spoil(values)
	}
	raw := tensor.Bytes(values)
	if d != tensor.F32 {
		half := make([]uint16, len(values))
		for i, v := range values {
			if half[i] = tensor.F32ToBF16(v); d == tensor.F16 {
				half[i] = tensor.F32ToF16(v)
			}
		}
		raw = tensor.Bytes(half)
	}
	return testkit.Safetensors(
		testkit.F32("embed.weight", []int64{64, 64}, 1, 2, 3),
		testkit.Weight{Name: "big.weight", DType: d, Shape: []int64{300, 1024}, Values: raw},
		testkit.F32("big.bias", []int64{300}, 1), testkit.F32("small.weight", []int64{64, 64}, 0.5, -0.25, 0.125),
		testkit.F32("norm.weight", []int64{64}, 1))
}

// Tasks that are done elsewhere, by any number of workers, in whatever time, make the same file
// and the same report.
func TestPoolMakesTheSame(t *testing.T) {
	for _, d := range []tensor.Type{tensor.F32, tensor.BF16, tensor.F16} {
		in := large(t, d, nil)
		for _, config := range []string{
			coremltools.Default,
			`{"global_config":{"weight_dtype":"uint4","granularity":"per_block","block_size":16,` +
				`"quantization_scheme":"affine"}}`,
			`{"global_config":{"weight_dtype":"int4","granularity":"per_channel"}}`,
			`{"global_config":{"weight_dtype":"uint8","granularity":"per_tensor","quantization_scheme":"affine"}}`,
			`{"global_config":{"weight_dtype":"int4","granularity":"per_block","block_size":[150,256]}}`,
		} {
			for _, o := range []container.Options{{To: "packed"}, {To: "coremltools"}} {
				want, report, err := convertIn(t, in, config, o, quant.Options{Workers: 1, Limits: small})
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range []int{1, 5} {
					var did *atomic.Int64
					got, same, err := convertBy(t, in, config, o, func(files []*tensor.File) (h []executor.Worker) {
						h, did = distants(n, files)
						return h
					})
					if err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(want, got) || !reflect.DeepEqual(report, same) {
						t.Errorf("%s of %s, %s: %d workers make something else", config, d, o.To, n)
					}
					if did.Load() == 0 {
						t.Error("the workers did nothing")
					}
				}
			}
		}
	}
}

func convertIn(t testing.TB, in []byte, config string, c container.Options, o quant.Options) ([]byte, any, error) {
	return convertAll(t, in, config, recipe.Options{}, c, func([]*tensor.File) quant.Options { return o })
}

func convertBy(t testing.TB, in []byte, config string, c container.Options,
	workers func([]*tensor.File) []executor.Worker) ([]byte, any, error) {
	return convertAll(t, in, config, recipe.Options{}, c,
		func(f []*tensor.File) quant.Options { return quant.Options{Pool: workers(f), Limits: small} })
}

func convertAll(t testing.TB, in []byte, config string, asked recipe.Options, c container.Options,
	options func([]*tensor.File) quant.Options) ([]byte, any, error) {
	t.Helper()
	files := []*tensor.File{testkit.File("in", in)}
	m, err := quant.Open(files, quant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	j, err := testkit.Plan(m, parse(t, config), asked, c)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r, err := quant.Convert(context.Background(), j, &out, options(files))
	return out.Bytes(), r, err
}

// What one worker cannot take is said as one process says it, or kept where that is asked for.
func TestPoolFindsWhatDoesNotFit(t *testing.T) {
	in := large(t, tensor.F32, func(values []float32) { values[len(values)-7] = float32(math.NaN()) })
	for _, config := range []string{coremltools.Default,
		`{"global_config":{"weight_dtype":"int8","granularity":"per_tensor"}}`} {
		options := func(files []*tensor.File) quant.Options {
			workers, _ := distants(3, files)
			return quant.Options{Pool: workers, Limits: small}
		}
		_, _, err := convertAll(t, in, config, recipe.Options{}, container.Options{}, options)
		if err == nil || !strings.Contains(err.Error(),
			`in: tensor "big.weight": its weights hold a value that is not a number (NaN)`) {
			t.Errorf("%s: %v", config, err)
		}
		out, _, err := convertAll(t, in, config, recipe.Options{KeepUnfit: true}, container.Options{}, options)
		if err != nil {
			t.Fatal(err)
		}
		tensors, err := open("out", out)
		if err != nil {
			t.Fatal(err)
		}
		kept := false
		for _, x := range tensors {
			kept = kept || x.Name == "big.weight" && x.DType == tensor.F32
		}
		if !kept {
			t.Errorf("%s: big.weight is not kept", config)
		}
	}
}

// An error of a worker ends the conversion with that error, in a split group's first pass too.
func TestPoolThatFails(t *testing.T) {
	in := large(t, tensor.F32, nil)
	lost := errors.New("the worker is gone")
	for _, config := range []string{coremltools.Default,
		`{"global_config":{"weight_dtype":"int8","granularity":"per_tensor"}}`} {
		for healthy := range 2 {
			_, _, err := convertBy(t, in, config, container.Options{}, func(files []*tensor.File) []executor.Worker {
				workers, _ := distants(healthy, files)
				return append(workers, &distant{fails: lost})
			})
			if healthy == 0 && !errors.Is(err, lost) || err != nil && !errors.Is(err, lost) {
				t.Errorf("%s, %d other workers: %v", config, healthy, err)
			}
		}
	}
}

// failing is a worker that cannot measure, once, and is well before and after.
type failing struct {
	executor.Local
	failed *atomic.Bool
	err    error
}

func (f *failing) Do(ctx context.Context, tasks []*executor.Task) ([]*executor.Result, error) {
	if tasks[0].Step == executor.Measure && f.failed.CompareAndSwap(false, true) {
		return nil, f.err
	}
	return f.Local.Do(ctx, tasks)
}

// One stretch of a row of blocks that could not be measured: the ranges of the others make a scale that looks
// like a right one.
func TestMeasuringThatFailsOnce(t *testing.T) {
	in := large(t, tensor.F32, nil)
	lost := errors.New("the file is gone")
	for _, asked := range []recipe.Options{{}, {KeepUnfit: true}} {
		failed := &atomic.Bool{}
		_, _, err := convertAll(t, in, `{"global_config":{"weight_dtype":"int8","granularity":"per_tensor"}}`, asked,
			container.Options{To: "coremltools"}, func([]*tensor.File) quant.Options {
				workers := []executor.Worker{&failing{failed: failed, err: lost}, &failing{failed: failed, err: lost}}
				return quant.Options{Pool: workers, Limits: small}
			})
		if !errors.Is(err, lost) || !failed.Load() {
			t.Errorf("%+v: %v", asked, err)
		}
	}
}

// More small tensors than a batch takes.
func TestManySmallTensors(t *testing.T) {
	var weights []testkit.Weight
	for i := range 700 {
		weights = append(weights, testkit.F32(fmt.Sprintf("layers.%03d.weight", i), []int64{8, 64}, float32(i), -1, 2))
	}
	in := testkit.Safetensors(weights...)
	want, report, err := convertIn(t, in, coremltools.Default, container.Options{}, quant.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	got, same, err := convertBy(t, in, coremltools.Default, container.Options{},
		func(files []*tensor.File) []executor.Worker { h, _ := distants(3, files); return h })
	if err != nil || !bytes.Equal(want, got) || !reflect.DeepEqual(report, same) {
		t.Errorf("workers make something else (%v)", err)
	}
}
