package quant_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"math"

	"nibble/quant"
)

// checkpoint is a small file: one matrix of 64 x 64, a bias beside it, and an embedding.
func checkpoint() *quant.File {
	const size = 64 * 64 * 4
	header := fmt.Sprintf(`{"fc.weight":{"dtype":"F32","shape":[64,64],"data_offsets":[0,%d]},`+
		`"fc.bias":{"dtype":"F32","shape":[64],"data_offsets":[%d,%d]},`+
		`"embed.weight":{"dtype":"F32","shape":[64,64],"data_offsets":[%d,%d]}}`,
		size, size, size+256, size+256, 2*size+256)
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	file = append(file, header...)
	for i := range (2*size + 256) / 4 {
		file = binary.LittleEndian.AppendUint32(file, math.Float32bits(float32(math.Sin(float64(i*i)))))
	}
	return &quant.File{Name: "model.safetensors", Size: int64(len(file)), R: bytes.NewReader(file)}
}

// A checkpoint becomes a 4-bit one. A file on disk is a File too: os.File is an io.ReaderAt, and its Stat has the size.
func ExampleConvert() {
	model, err := quant.Open([]*quant.File{checkpoint()}, quant.Options{})
	if err != nil {
		log.Fatal(err)
	}
	job, err := quant.Plan(model, quant.Options{Container: "packed"})
	if err != nil {
		log.Fatal(err)
	}
	var out bytes.Buffer
	report, err := quant.Convert(context.Background(), job, &out, quant.Options{Workers: 4})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d of %d tensors quantized, %d bytes -> %d\n",
		report.Totals.Quantized, report.Totals.Tensors, model.Bytes(), out.Len())
	// Output: 1 of 3 tensors quantized, 33246 bytes -> 19904
}

// A plan is shown before any weight is read: what becomes of each tensor, and why. The config is coremltools'.
func ExamplePlan() {
	options := quant.Options{
		Config:            []byte(`{"global_config": {"weight_dtype": "uint4", "quantization_scheme": "affine"}}`),
		IncludeEmbeddings: true,
	}
	model, err := quant.Open([]*quant.File{checkpoint()}, options)
	if err != nil {
		log.Fatal(err)
	}
	job, err := quant.Plan(model, options)
	if err != nil {
		log.Fatal(err)
	}
	for _, row := range job.Report().Tensors {
		fmt.Printf("%s: %s, %s\n", row.Name, row.Verdict, row.Reason)
	}
	losses, err := quant.Measure(context.Background(), job, []string{"fc.weight"}, options)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("fc.weight has an SQNR of %.1f dB\n", *losses["fc.weight"].SQNR)
	// Output:
	// fc.weight: quantize, weight of a Linear
	// fc.bias: keep, bias
	// embed.weight: quantize, weight of a Embedding
	// fc.weight has an SQNR of 24.8 dB
}

// An output is held against the source it was made from; one changed bit is found.
func ExampleVerify() {
	source := []*quant.File{checkpoint()}
	model, err := quant.Open(source, quant.Options{})
	if err != nil {
		log.Fatal(err)
	}
	job, err := quant.Plan(model, quant.Options{Container: "int8"})
	if err != nil {
		log.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := quant.Convert(context.Background(), job, &out, quant.Options{}); err != nil {
		log.Fatal(err)
	}
	check := func() {
		file := &quant.File{Name: "out.safetensors", Size: int64(out.Len()), R: bytes.NewReader(out.Bytes())}
		result, err := quant.Verify(context.Background(), []*quant.File{file}, source, quant.Options{})
		if err != nil {
			log.Fatal(err)
		}
		for _, row := range result.Tensors {
			if !row.OK {
				fmt.Println(row.Name, row.Problem)
			}
		}
		fmt.Println("in order:", result.OK)
	}
	check()
	out.Bytes()[out.Len()-1] ^= 1
	check()
	// Output:
	// in order: true
	// embed.weight was to be kept byte for byte and differs
	// in order: false
}
