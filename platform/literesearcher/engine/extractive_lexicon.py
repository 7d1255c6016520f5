"""English that the extractive engine knows: what a question asks for, words that carry little, words alike.

Owns: small fixed tables, all as stems. Refuses to know: questions, pages. Neighbours: `extractive_question`,
`extractive_scoring`.
"""

from __future__ import annotations

from literesearcher.research.words import stem

_KIND_WORDS = {
    "function": "function routine coroutine builtin iterator generator decorator call tool utility",
    "class": "class type object container datatype",
    "method": "method",
    "module": "module package library",
    "exception": "exception error warning",
    "argument": "argument parameter keyword option flag arg kwarg kwargs setting",
    "constant": "constant attribute variable",
}
KINDS = {stem(word): kind for kind, words in _KIND_WORDS.items() for word in words.split()}
"""What a question may ask for, by the stem of the word that says it."""

_GENERIC = """
many much check test whether tell raise implement handle
python standard library built builtin stdlib function routine method class module package exception argument parameter
keyword option arg object value return give get make take use find provide create produce compute calculate perform
let allow help call result way thing kind sort-of several single given new certain particular specific various
following correct right exact exactly available able whole entire two three itself directly simply easily possible best
type accept pass want show tell happen way item element element data code program programming language documentation
docs someone something anything every all each named determine control specify set define indicate supply support
represent instance first generate answer question please number certain part
"""
GENERIC = frozenset(stem(word) for word in _GENERIC.split())
"""Words that most pages of a documentation hold: a question is not answered by them."""

_ALIKE = """
merge combine join union | remove delete strip drop discard erase unlink | several multiple many
greatest largest biggest maximum highest max | smallest least lowest minimum min | directory folder
string str text | dictionary dict mapping | integer int whole | copy duplicate clone | argument option parameter
random pseudorandom randomly | choose choice pick select sample | wait sleep suspend delay pause block
convert turn transform change translate | reverse descending backward inverse opposite
count frequency occurrence tally number | split divide break separate partition
beginning start leading prefix | end trailing suffix finish |
equal same identical | error exception raise failure fail invalid malformed broken bad | parse decode deserialize
serialize encode dump | current present now | lookup search find locate | uppercase upper capital | lowercase lower
whitespace space blank | indentation indent | average mean | middle median | exponent power
nearest round closest | absolute magnitude | insert add append | iterate loop | shuffle reorder permute
temporary temp | running cumulative accumulate accumulated | execute run | list listing | order sort sorted arrange
hashable hash | concatenate chain | repeat repeatedly cycle | unique distinct | equivalent like
environment env | quit exit terminate | kill stop cancel | compress deflate | decompress uncompress inflate expand
allow permit | exist existing | destination target dst dest | origin source src | logarithm log | pretty prettily
recursive recursively subtree | letter alphabetic alpha | digit decimal numeric | elapsed duration
tolerance tol | absolute abs | relative rel | formatted format | ignore suppress | thread threading
email mail | approximate approximately close | divisor factor | byte bytes | measure benchmark timing time
lines line | wrap fill | quote escape | difference diff compare delta | schedule scheduler | cache memoize lru
"""


_GROUPS = tuple(tuple(group.split()) for group in _ALIKE.replace("\n", " | ").split("|") if group.strip())


def _by_stem() -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for group in _GROUPS:
        for word in group:
            found.setdefault(stem(word), {}).update(dict.fromkeys(other for other in group if other != word))
    return {each: tuple(words) for each, words in found.items()}


WORDS_ALIKE = _by_stem()
"""By stem, the words that may stand for it in documentation, as they are written."""
ALIKE = {each: frozenset(stem(word) for word in words) - {each} for each, words in WORDS_ALIKE.items()}
"""The same as stems; one counts for less than the word itself."""

TYPE_NAMES = {
    "string": "str",
    "strings": "str",
    "dictionary": "dict",
    "dictionaries": "dict",
    "integer": "int",
    "integers": "int",
    "lists": "list",
    "tuples": "tuple",
    "sets": "set",
    "floats": "float",
}
"""What people call a type where its name in code is another."""

CJK_FILLERS = (
    "为什么", "是什么", "什么", "哪一个", "哪个", "哪些", "哪里", "哪", "谁", "多少", "怎么样", "怎么", "怎样", "如何",
    "请问", "以及", "并且", "它的", "其中", "是否", "是", "的", "了", "吗", "呢", "在", "和", "与", "有", "几", "何",
    "どの", "なに", "何", "誰", "どこ", "いつ", "ですか", "ますか", "です", "ます",
    "は", "が", "を", "の", "に", "で", "と",
    "무엇", "누구", "어디", "언제", "입니까", "인가요",
)  # fmt: skip
"""Question words and particles of languages written without spaces; longest first where one holds another."""
