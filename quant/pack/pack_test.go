package pack_test

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"reflect"
	"testing"

	"nibble/quant/kernel"
	"nibble/quant/pack"
	"nibble/quant/plane"
	"nibble/quant/tensor"
)

// Bytes that other tools read, by hand: each form lays what its first reader says.
func TestForms(t *testing.T) {
	codes := []byte{0xf9, 7, 0, 1, 0xff} // -7, 7, 0, 1, -1
	type (
		tile   = plane.Tile[float32]
		params = plane.Params[float32]
	)
	for name, c := range map[string]struct {
		spec pack.Spec
		tile tile
		want string
	}{
		// compressed-tensors: +8, the first in the lowest bits, to the end of a 32-bit word.
		"words": {
			pack.Spec{Form: pack.Words, Plane: plane.Codes, Bits: 4, Signed: true},
			tile{Rows: 1, Codes: codes}, "f1980700",
		},
		"words of two rows": {
			pack.Spec{Form: pack.Words, Plane: plane.Codes, Bits: 4},
			tile{Rows: 2, Codes: []byte{1, 2, 3, 4}}, "2100000043000000",
		},
		"words of 8 bits": {
			pack.Spec{Form: pack.Words, Plane: plane.Codes, Bits: 8, Signed: true},
			tile{Rows: 1, Codes: codes}, "798780817f000000",
		},
		"bytes": {
			pack.Spec{Form: pack.Bytes, Plane: plane.Codes, Bits: 4, Signed: true},
			tile{Rows: 1, Codes: codes}, "f9070001ff",
		},
		"nibbles": {
			pack.Spec{Form: pack.Nibbles, Plane: plane.Codes, Bits: 4, Signed: true},
			tile{Rows: 1, Codes: codes}, "090700010f",
		},
		"zero points": {
			pack.Spec{Form: pack.Bytes, Plane: plane.ZeroPoint, Bits: 4},
			tile{Params: params{ZeroPoint: []byte{3, 4}}}, "0304",
		},
		"scales": {
			pack.Spec{Form: pack.Floats, Plane: plane.Scale, DType: tensor.F32},
			tile{Params: params{Scale: []float32{1, -2}}}, "0000803f000000c0",
		},
		"scales of float16": {
			pack.Spec{Form: pack.Floats, Plane: plane.Scale, DType: tensor.F16},
			tile{Params: params{Scale: []float32{1, -2}}}, "003c00c0",
		},
		"offsets": {
			pack.Spec{Form: pack.Floats, Plane: plane.Offset, DType: tensor.BF16},
			tile{Params: params{Offset: []float32{1, -2}}}, "803f00c0",
		},
		"values": {
			pack.Spec{Form: pack.Floats, Plane: plane.Values, DType: tensor.F32},
			tile{Values: []float32{0.5}}, "0000003f",
		},
	} {
		code, err := pack.Of[float32](c.spec)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(code.Append(nil, &c.tile)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Zero points of rows share words: row 0 in the lowest bits, the last rows filled with zeros.
func TestColumns(t *testing.T) {
	spec := pack.Spec{Form: pack.Columns, Plane: plane.ZeroPoint, Bits: 4, Signed: true, PerRow: true}
	code, err := pack.Of[float32](spec)
	if err != nil {
		t.Fatal(err)
	}
	rows := []byte{1, 2, 0xff, 0xf8, 3, 4} // three rows of two columns
	got := code.(pack.RowPacker).PackRows([]byte{9}, rows, 2, 0, 2)
	if hex.EncodeToString(got) != "09790b00000a0c0000" {
		t.Fatalf("%x", got)
	}
	for row := range 3 {
		tile := plane.Tile[float32]{Rows: 1, First: int64(row), Last: row == 2,
			Params: plane.Params[float32]{ZeroPoint: make([]byte, 2)}}
		if !code.Read(got[1:], &tile) || !bytes.Equal(tile.ZeroPoint, rows[2*row:2*row+2]) {
			t.Errorf("row %d is read as %x", row, tile.ZeroPoint)
		}
	}
	got[4] = 0x80 // a row that the weight does not have
	if code.Read(got[1:], &plane.Tile[float32]{Rows: 1, First: 2, Last: true,
		Params: plane.Params[float32]{ZeroPoint: make([]byte, 2)}}) {
		t.Error("what lies below the last row is not seen")
	}
}

// What is laid is read back, whatever the lengths, and bits that hold nothing are seen when they are set.
func TestReadIsTheInverseOfAppend(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		bits := []int{4, 8}[random.IntN(2)]
		signed := random.IntN(2) == 0
		roundTrip[float32](t, random, bits, signed, []tensor.Type{tensor.F32, tensor.F16, tensor.BF16}[random.IntN(3)])
		roundTrip[float64](t, random, bits, signed, tensor.F64)
	}
}

func roundTrip[T kernel.Float](t *testing.T, random *rand.Rand, bits int, signed bool, d tensor.Type) {
	t.Helper()
	rows, row := 1+random.IntN(3), 1+random.IntN(40)
	full := plane.Tile[T]{Rows: rows, Codes: make([]byte, rows*row), Values: make([]T, rows*row)}
	for i := range full.Codes {
		full.Codes[i] = byte(random.IntN(1 << bits))
		if signed {
			full.Codes[i] = byte(int8(full.Codes[i]<<(8-bits)) >> (8 - bits))
		}
		full.Values[i] = T(random.IntN(64)) - 32 // exact in every type
	}
	full.Params = plane.Params[T]{Scale: full.Values, Offset: full.Values, ZeroPoint: full.Codes}
	for _, spec := range []pack.Spec{
		{Form: pack.Words, Plane: plane.Codes}, {Form: pack.Bytes, Plane: plane.Codes},
		{Form: pack.Bytes, Plane: plane.ZeroPoint},
		{Form: pack.Floats, Plane: plane.Scale}, {Form: pack.Floats, Plane: plane.Offset},
		{Form: pack.Floats, Plane: plane.Values},
		{Form: pack.Nibbles, Plane: plane.Codes},
	} {
		if spec.Form == pack.Nibbles && bits != 4 {
			continue
		}
		spec.Bits, spec.Signed, spec.DType = bits, signed, d
		code, err := pack.Of[T](spec)
		if err != nil {
			t.Fatal(err)
		}
		raw := code.Append(nil, &full)
		if n := int64(rows) * spec.Bytes(int64(row)); int64(len(raw)) != n {
			t.Fatalf("%+v: %d bytes of %d", spec, len(raw), n)
		}
		back := plane.Tile[T]{Rows: rows, Codes: make([]byte, rows*row), Values: make([]T, rows*row)}
		back.Params = plane.Params[T]{Scale: make([]T, rows*row), Offset: make([]T, rows*row),
			ZeroPoint: make([]byte, rows*row)}
		aligned := append(tensor.Buffer(nil, len(raw))[:0], raw...)
		if !code.Read(aligned, &back) {
			t.Fatalf("%+v: bits are set that hold nothing", spec)
		}
		same := reflect.DeepEqual(back.Codes, full.Codes)
		switch spec.Plane {
		case plane.ZeroPoint:
			same = reflect.DeepEqual(back.ZeroPoint, full.ZeroPoint)
		case plane.Scale:
			same = reflect.DeepEqual(back.Scale, full.Scale)
		case plane.Offset:
			same = reflect.DeepEqual(back.Offset, full.Offset)
		case plane.Values:
			same = reflect.DeepEqual(back.Values, full.Values)
		}
		if !same {
			t.Fatalf("%+v, %d rows of %d: it comes back as something else", spec, rows, row)
		}
		if spec.Form == pack.Words && row*bits%32 != 0 {
			aligned[len(aligned)-1] |= 0x80
			if code.Read(aligned, &back) {
				t.Fatalf("%+v: a bit behind the last code is not seen", spec)
			}
		}
	}
}

// Forms that nobody knows are bugs of Nibble's, and no panic.
func TestUnknownForms(t *testing.T) {
	if _, err := pack.Of[float32](pack.Spec{Form: "zip"}); err == nil {
		t.Error("it is known")
	}
	if (pack.Spec{}).Bytes(8) != 0 || (pack.Spec{}).Rows() != 1 || (pack.Spec{}).Whole() {
		t.Error("no form lays something")
	}
}
