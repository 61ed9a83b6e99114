package pattern

import (
	"errors"
	"strings"
	"testing"
)

// Long names and patterns end within a browser's stack, which is far smaller than the
// one that Go's test runner asks Node for; build.sh runs this test with the default one.
func TestDeepMatchesEnd(t *testing.T) {
	long := strings.Repeat("ab", 20_000)
	for text, name := range map[string]string{
		`(?:(?:a|b)c?)*`: long, `(?:a|b)*?x`: long, `.*`: long, `(?:ab)++`: long, `((a)|(b))*`: long,
		strings.Repeat("(?=a)", 8000) + ".*": long, strings.Repeat("a", 30_000): strings.Repeat("a", 30_000),
		strings.Repeat("(?:", 90) + "a" + strings.Repeat(")*", 90): long,
		strings.Repeat(".?", 5000):                                 long,
	} {
		p, err := Compile(text)
		if err != nil {
			t.Fatalf("%.40s: %v", text, err)
		}
		if _, err := p.FullMatch(name); err != nil && !errors.Is(err, ErrSteps) {
			t.Errorf("%.40s: %v", text, err)
		}
	}
	// What a sane pattern does to a long but real name is far within the bounds.
	name := strings.Repeat("layers.0.", 30) + "self_attn.q_proj"
	for _, text := range []string{`(?:layers\.\d+\.)*self_attn\.[qkv]_proj`, `.*self_attn.*`, `(?:(?!mlp).)*`,
		`(?:\w+\.)*\w+`} {
		p, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := p.FullMatch(name); !ok || err != nil {
			t.Errorf("%s: %v, %v", text, ok, err)
		}
	}
}
