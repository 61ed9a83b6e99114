"""Records what Python's re.fullmatch answers, for package pattern.

    python3.11 python_re.py

Writes python_re.json beside itself: the names, and for each pattern the error Python
raises or one letter per name, y or n.
"""

import json
import pathlib
import re
import sys
import warnings

warnings.simplefilter("ignore")

NAMES = [
    "", "a", "b", "ab", "aa", "aaa", "abab", "A", "aB", "head", "Head", "lm_head", "head.0", "layers.0", "layers.1.mlp",
    "layers.10.mlp.up_proj",
    "layers.2.self_attn.q_proj", "model.layers.31.self_attn.o_proj", "features.0.weight", "0", "12", "a.b", "a-b",
    "a/b", "a b", "a\n", "a\nb", "\n",
    "x{2}", "x{,}", "{", "}", "]", "a]", "^", "$", "-", "é", "É", "straße", "Σ", "ς", "ſ", "s", "S", "K", "k", "\u0661",
    "3", "\x1c", " ", "\u3000", "名前", "a_1", "a" * 30,
    "conv1", "conv12", "conv1conv1", "foo.foo", "foo.bar", "(", "aab", "aabb", "\\", "a.", ".", "\t", "\x08", "q_proj",
    "k_proj",
]

PATTERNS = r"""
a|ab
ab|a
(a|ab)(b|)
a*
a+?
a*?b
(a*)*
(?:a|b)+
(?:ab)+
(a)(b)?\1
(\w+)\.\1
(conv\d)\1
(?P<x>foo)\.(?P=x)
(?P<x>foo)\.(?P<x>bar)
(?P<1>a)
(?P=x)
(?P<a.b>x)
layers\.\d+\..*
layers\.\d+
model\.layers\.(?:[0-9]|[12]\d|3[01])\.self_attn\.[qkvo]_proj
.*
.
..
.+
(?s).+
(?s).
a$
a\Z
^a
\Aa
a\b
\ba\b
a\b.*
\B
\B.*
.*\B
^$
$
(?m)a$
(?m)^a$\n^b$
(?m)a$\nb
(?!lm_).*head
(?!head).*
(?=h)head
(?=.*mlp).*
.*(?<=mlp)
.*(?<!mlp)
.*(?<=a|b)
.*(?<=a|bc)
.*(?<=a*)
(?<=a)b
a(?<=a)b
(a)b(?<=\1b)
(a+)b(?<=\1b)
(?i)HEAD
(?i)head
(?i:h)ead
(?-i:h)ead
(?i)é
(?i)straße
(?i)STRASSE
(?i)σ
(?i)S
(?i)k
(?i)[A-Z]+
(?i)[^a-z]+
(?i)(a)\1
\d
\d+
(?a)\d
\D
\w+
(?a)\w+
\W
\s
\S
(?a)\s
[\d]
[\w.]+
[^\W]
[a-c]+
[^a-c]+
[]]
[^]]
[]a]+
a[]]
[a-]
[-a]
[a\-b]+
[a-\d]
[\d-a]
[c-a]
[\b]
[
[]
[^
[a
[[]
[[:alpha:]]
[a&&b]
x{2}
x\{2\}
a{2}
a{2,}
a{,2}
a{,}
a{}
a{2,3}
a{3,2}
a{1
a{1,
a{x}
{
}
x{,}
{2}
(?:a{2}){15}
a{30}
a**
a*?
a*??
a*+
a*+a
a++
a?+a
a{1,2}+b
a{2}{3}
(?:a*)*
(?>a*)b
(?>a*)a
(?>a|ab)
*a
+
?
|
a|
|a
()
()*
(?:)*
(?:)+a
^*
\b+
(
)
(a
a)
(?
(?:
(?P
(?P<
(?P<a
(?P<a>
(?Px)
(?z)a
(?i
(?i)
(?i)(?s).*
a(?i)
(?i:a
(?i-s:A)B
(?i-:a)
(?-:a)
(?a-i:b)
(?i-i:a)
(?L)a
(?u)a
(?#comment)a
(?#comment
a(?#c)b
(a)?(?(1)b|a)
(a)?(?(1)b)
(a)?(?(2)b)
(a)?(?(1)b|a|c)
(?P<g>a)?(?(g)b|a)
(?(0)a)
\1
(a)\2
(a\1)
(a)\1
\0
\08
\07
\101
(a)\101
\400
\x61
\x6
\u0061
\u00e9
\U00000061
\U00110000
\N{LATIN SMALL LETTER A}
\a
\e
\c
\z
\G
\p{L}
\Q
\K
\h
\R
\.
\-
\_
\/
\ 
\é
\
a\
[\
(?x) a b # comment
(?x)a [ ] b
(?x: a ) b
(?x)a\ b
(?x)a {2}
(?x)a *
(?x)( a | b )
.*\.0
he.d|x
(?:head|lm_head)
[a-z_]+\.\d
.*_proj
(?:(?!mlp).)*
(?:q|k|v)_proj
(?=(a+))a*b\1
(?=(a+))\1
((a)|(b))+
(a(?=b))b
(?:(a)|b)*
(?:(a)|(b))+\1
(aa|a)*
(?i)\w*É
(?<!a)b
(?<!\n)b
(?<=^)a
(?<=$)
(?!)
(?=)
(?!a)(?!b).
\ba|b\b
(?P<n>a)(?P=n)
(?P<n>a)(?P=m)
(?P<n>(?P=n)a)
(?P<né>a)
a(?#c)*
a*(?#c)*
a(?#c)(?#d)+b
a(?#c
(?(1)a|b)(c)?
(?(2)a|b)(c)?
((?(1)|b){1,2}.*+|){2,}
(?:){3}a
(a|){2,5}b
(?:^a?){2}
((?(1)a))+
(?:(?=a)|a){2}
(?:b{1,2}){2}+
(?:a|ab){2}+
(?:a|b)*+a
(?ai)s
(?ai)[é]
(?ai)[s-t]
(?i)(s)\1
(?au:x)
(?a)(?u)x
(?<=(a)\1)b
(a)(?<=\1)b
(a(?<=(?(1))))b
(a)(?<=(?(1)a|b))b
""".strip("\n").split("\n")
PATTERNS += ["a\nb", "\n", "(?x)a\nb", "a{99999999999}", "名前", "(" * 90 + ")" * 90]

rows = []
for pattern in PATTERNS:
    try:
        found = re.compile(pattern)
        rows.append({"pattern": pattern, "error": "", "match": "".join("ny"[bool(found.fullmatch(n))] for n in NAMES)})
    except (re.error, ValueError, OverflowError, RecursionError) as e:
        rows.append({"pattern": pattern, "error": str(e), "match": ""})
here = pathlib.Path(__file__)
here.with_suffix(".json").write_text(json.dumps({"python": sys.version.split()[0], "names": NAMES, "rows": rows},
    indent=0) + "\n")
