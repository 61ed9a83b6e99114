package coremltools

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"nibble/quant/fault"
)

// maxValues bounds what the aliases of a YAML file may unfold to.
const maxValues = 50_000

// readYAML reads what PyYAML's safe_load makes of a config: YAML 1.1's scalars, anchors,
// merge keys; one document. It refuses tags, and keys given twice, where PyYAML takes
// the last.
func readYAML(file string, content []byte) (v value, err error) {
	y := &yamlReader{file: file, lines: lineStarts(content)}
	if tooDeep(content) {
		return value{}, fault.Not(file, "the config nests too deeply")
	}
	defer func() {
		if p := recover(); p != nil { // the library's, on hostile input
			v, err = value{}, y.broken(fmt.Sprint(p))
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(content))
	var document, more yaml.Node
	if err := d.Decode(&document); errors.Is(err, io.EOF) {
		return value{}, fault.Bad(file, "the config is empty").Hint("write {} for coremltools' defaults")
	} else if err != nil {
		return value{}, y.broken(err.Error())
	}
	if err := d.Decode(&more); err == nil {
		return value{}, fault.Bad(file, "the config holds a second YAML document").At(y.place(&more))
	} else if !errors.Is(err, io.EOF) {
		return value{}, y.broken(err.Error())
	}
	if len(document.Content) != 1 {
		return value{}, fault.Bad(file, "the config is empty").Hint("write {} for coremltools' defaults")
	}
	return y.value(document.Content[0])
}

type yamlReader struct {
	file   string
	lines  []int64 // byte at which each line begins
	values int
	within []*yaml.Node // aliases being followed
}

func lineStarts(content []byte) []int64 {
	starts := []int64{0}
	for i, c := range content {
		if c == '\n' {
			starts = append(starts, int64(i+1))
		}
	}
	return starts
}

// maxDeep bounds nesting; the library's parser and ours recurse, and a browser's stack is
// small. A config nests four levels.
const maxDeep = 100

// tooDeep looks at brackets and at what a line begins with, before anything recurses.
func tooDeep(content []byte) bool {
	open, lead, leading := 0, 0, true
	for _, c := range content {
		switch c {
		case '[', '{':
			open++
		case ']', '}':
			open--
		}
		switch {
		case c == '\n':
			lead, leading = 0, true
		case leading && bytes.IndexByte([]byte(" \t-?:"), c) >= 0:
			lead++
		default:
			leading = false
		}
		if open > maxDeep || lead > 4*maxDeep {
			return true
		}
	}
	return false
}

// place turns line and column into a byte.
func (y *yamlReader) place(n *yaml.Node) int64 {
	if n.Line < 1 || n.Line > len(y.lines) {
		return 0
	}
	return y.lines[n.Line-1] + int64(max(n.Column-1, 0))
}

func (y *yamlReader) broken(why string) error {
	why, _, _ = strings.Cut(strings.TrimPrefix(why, "yaml: "), "\n")
	return fault.Bad(y.file, "the config is not valid YAML: %s", why)
}

func (y *yamlReader) refuse(n *yaml.Node, what string, args ...any) *fault.Error {
	return fault.Not(y.file, what, args...).At(y.place(n))
}

func (y *yamlReader) value(n *yaml.Node) (value, error) {
	v := value{at: y.place(n)}
	if y.values++; y.values > maxValues || len(y.within) > 100 {
		return v, y.refuse(n, "the config unfolds to more than %d values", maxValues)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		return v, y.refuse(n, "the tag %s is not read", n.Tag).
			Hint("write a plain value; a block size of several axes is a plain list")
	}
	switch n.Kind {
	case yaml.AliasNode:
		for _, outer := range y.within {
			if outer == n.Alias {
				return v, y.refuse(n, "the alias *%s holds itself", n.Value)
			}
		}
		y.within = append(y.within, n.Alias)
		defer func() { y.within = y.within[:len(y.within)-1] }()
		return y.value(n.Alias)
	case yaml.SequenceNode:
		v.kind = list
		for _, item := range n.Content {
			x, err := y.value(item)
			if err != nil {
				return v, err
			}
			v.items = append(v.items, x)
		}
	case yaml.MappingNode:
		v.kind = object
		return v, y.mapping(n, &v)
	default:
		v.kind, v.text = scalar(n)
	}
	return v, nil
}

// mapping reads keys and values. As in PyYAML, what << brings in stands before the
// mapping's own keys, of a list the last source first, and later ones win.
func (y *yamlReader) mapping(n *yaml.Node, v *value) error {
	place, own := map[string]int{}, map[string]bool{}
	put := func(m member) {
		if i, known := place[m.key]; known {
			v.members[i] = m
			return
		}
		place[m.key] = len(v.members)
		v.members = append(v.members, m)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if isMergeKey(n.Content[i]) {
			members, err := y.merged(n.Content[i+1])
			if err != nil {
				return err
			}
			for _, m := range members {
				put(m)
			}
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if isMergeKey(key) {
			continue
		}
		if k, _ := scalar(key); key.Kind != yaml.ScalarNode || k != text {
			return y.refuse(key, "the key %s is not text", key.Value).Hint("put it in quotes")
		}
		if own[key.Value] {
			return fault.Bad(y.file, "the key %q is there twice", key.Value).At(y.place(key))
		}
		own[key.Value] = true
		x, err := y.value(n.Content[i+1])
		if err != nil {
			return err
		}
		put(member{key.Value, y.place(key), x})
	}
	return nil
}

// isMergeKey reports whether a key is <<, which brings in the members of other objects.
func isMergeKey(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "<<" && n.Style == 0
}

// merged are the members that a merge key brings in. Of a list of objects the first wins, so that its members come
// last.
func (y *yamlReader) merged(item *yaml.Node) ([]member, error) {
	x, err := y.value(item)
	if err != nil {
		return nil, err
	}
	sources := []value{x}
	if x.kind == list {
		sources = slices.Clone(x.items)
		slices.Reverse(sources)
	}
	var members []member
	for _, s := range sources {
		if s.kind != object {
			return nil, y.refuse(item, "a merge key (<<) takes an object or a list of objects")
		}
		members = append(members, s.members...)
	}
	return members, nil
}

// What PyYAML (YAML 1.1) makes of a plain scalar.
var (
	yamlNull = regexp.MustCompile(`^(?:~|null|Null|NULL|)$`)
	yamlBool = regexp.MustCompile(`^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$`)
	yamlInt  = regexp.MustCompile(`^(?:[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|` +
		`[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$`)
	yamlFloat = regexp.MustCompile(`^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|` +
		`\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|` +
		`NaN|NAN))$`)
	yamlDate    = regexp.MustCompile(`^\d{4}-\d\d?-\d\d?(?:[Tt ]|$)`)
	plainNumber = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)$`)
)

// scalar finds what a scalar is. A number that JSON would write otherwise (0x20,
// 1_000, 010) stays text in show, so that it is refused where a number is wanted.
func scalar(n *yaml.Node) (kind, string) {
	switch s := n.Value; {
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return text, s
	case yamlNull.MatchString(s):
		return null, "null"
	case yamlBool.MatchString(s):
		return boolean, s
	case plainNumber.MatchString(s):
		return number, s
	case yamlInt.MatchString(s), yamlFloat.MatchString(s), yamlDate.MatchString(s), s == "=":
		return other, s
	default:
		return text, s
	}
}
