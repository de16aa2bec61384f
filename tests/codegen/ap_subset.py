"""The part of the ap types that generated C++ may use, as headers that declare nothing else, and a walk over its syntax tree.

AMD and Bambu 2024.10 both have what is declared here, with one meaning. What they do not share does not compile: members that are private in
one (`is_neg`), a range assigned from a range, a range of an ap_uint as a target, comparisons of two types, a type that rounds or saturates
and is unsigned itself or takes an unsigned source, and one that saturates a source with no integer bit to spare.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

cindex = pytest.importorskip("clang.cindex", reason="libclang is not installed")

HEADER = r"""
#pragma once
template <bool C, class T = void> struct only_if {};
template <class T> struct only_if<true, T> { typedef T type; };
template <class A, class B> struct same { static const bool yes = 0; };
template <class A> struct same<A, A> { static const bool yes = 1; };

enum ap_q_mode { AP_TRN, AP_RND, AP_RND_CONV };
enum ap_o_mode { AP_WRAP, AP_SAT, AP_SAT_SYM };
struct number {};                // what all of them are
struct exact : number {};        // the result of arithmetic, before a type takes it
template <int W> struct ap_uint;
template <int W> struct ap_int;

struct bits {}; // a range that is read: for a named ap_uint
struct place {  // a range of an ap_fixed: read likewise, or set from a named ap_uint
    place(const place &) = default;
    void operator=(const place &) = delete;
    template <int V> void operator=(const ap_uint<V> &);
};

template <int W> struct ap_uint : number {
    ap_uint() = default;
    ap_uint(int);
    ap_uint(long long);
    ap_uint(const exact &);
    ap_uint(const bits &);
    ap_uint(const place &);
    template <int V> ap_uint(const ap_uint<V> &);
    template <int V> ap_uint(const ap_int<V> &);
    bits range(int, int) const;
    ap_uint &operator|=(const number &);
    operator unsigned long long() const; // the index of a table
};

template <int W> struct ap_int : number {
    ap_int() = default;
    ap_int(int);
    ap_int(long long);
    ap_int(const exact &);
    template <int V> ap_int(const ap_uint<V> &);
    template <int V> ap_int(const ap_int<V> &);
};

template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP> struct ap_ufixed;
template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP> struct ap_fixed : number {
    static const bool plain = Q == AP_TRN && O == AP_WRAP;
    ap_fixed() = default;
    ap_fixed(int);
    ap_fixed(double);
    ap_fixed(const exact &) { static_assert(plain, "the result of arithmetic is rounded or saturated"); }
    template <int V, int J, ap_q_mode R, ap_o_mode P> ap_fixed(const ap_fixed<V, J, R, P> &) {
        static_assert(O == AP_WRAP || (J > I), "saturates a source with no integer bit to spare");
    }
    template <int V, int J, ap_q_mode R, ap_o_mode P> ap_fixed(const ap_ufixed<V, J, R, P> &) {
        static_assert(plain, "rounds or saturates an unsigned source");
    }
    place range(int, int);
    ap_fixed &operator+=(const ap_fixed &);
    ap_fixed &operator-=(const ap_fixed &);
};

template <int W, int I, ap_q_mode Q, ap_o_mode O> struct ap_ufixed : number {
    static_assert(Q == AP_TRN && O == AP_WRAP, "an unsigned type rounds or saturates");
    ap_ufixed() = default;
    ap_ufixed(int);
    ap_ufixed(double);
    ap_ufixed(const exact &);
    template <int V, int J, ap_q_mode R, ap_o_mode P> ap_ufixed(const ap_fixed<V, J, R, P> &);
    template <int V, int J, ap_q_mode R, ap_o_mode P> ap_ufixed(const ap_ufixed<V, J, R, P> &);
    place range(int, int);
    ap_ufixed &operator+=(const ap_ufixed &);
    ap_ufixed &operator-=(const ap_ufixed &);
};

exact operator+(const number &, const number &);
exact operator-(const number &, const number &);
exact operator*(const number &, const number &);
exact operator|(const number &, const number &);
exact operator-(const number &);
exact operator<<(const number &, int);
exact operator>>(const number &, int);

template <class A> struct is_number { static const bool yes = __is_base_of(number, A); };
template <class A, class B> struct either { static const bool yes = is_number<A>::yes || is_number<B>::yes; };
#define COMPARES(op) \
    template <class A> typename only_if<is_number<A>::yes, bool>::type operator op(const A &, const A &); \
    template <class A> typename only_if<is_number<A>::yes, bool>::type operator op(const A &, int); \
    template <class A, class B> \
    typename only_if<either<A, B>::yes && !same<A, B>::yes && !same<B, int>::yes>::type operator op(const A &, const B &) = delete;
#define NEVER(op) \
    template <class A, class B> typename only_if<either<A, B>::yes>::type operator op(const A &, const B &) = delete;
COMPARES(<)
COMPARES(>)
NEVER(==) NEVER(!=) NEVER(<=) NEVER(>=) NEVER(/) NEVER(%) NEVER(&) NEVER(^) NEVER(&&) NEVER(||)

namespace hls {
template <class T> struct stream {
    stream(const char *);
    T read();
    void write(const T &);
};
}
"""


@cache
def headers() -> Path:
    """A folder with the headers that generated C++ includes."""
    folder = Path(mkdtemp(prefix="ap_subset_"))
    for name in ("ap_int.h", "ap_fixed.h", "hls_stream.h"):
        (folder / name).write_text('#pragma once\n#include "ap_subset.h"\n')
    (folder / "ap_subset.h").write_text(HEADER)
    return folder


def violations(files: Mapping[str, str], top: str = "hwq_top") -> list[str]:
    """What the C++ of a plan does beyond the subset, or with variables that have no value yet."""
    folder, source = headers(), str(headers() / f"{top}.cpp")
    unsaved = [
        (str(folder / name.removeprefix("hls/")), text)
        for name, text in files.items()
        if name in (f"hls/{top}.h", f"hls/{top}.cpp")
    ]
    argv = ["-std=c++14", "-nostdinc", "-nostdinc++", "-Wno-unknown-pragmas", "-I", str(folder)]
    unit = cindex.Index.create().parse(source, args=argv, unsaved_files=unsaved)
    found = [f"{d.location.line}: {d.spelling}" for d in unit.diagnostics if d.severity >= cindex.Diagnostic.Error]
    lines = dict(unsaved)[source].splitlines()
    declared = (node for top in unit.cursor.get_children() if _is_of(top, source) for node in _variables(top))
    return found + [
        f"{node.location.line}: {node.spelling} has no value"
        for node in declared
        if node.storage_class != cindex.StorageClass.STATIC and not _given(lines[node.location.line - 1], node.spelling)
    ]


def _is_of(cursor: Any, file: str) -> bool:
    return cursor.location.file is not None and cursor.location.file.name == file


STATEMENTS = (
    "LINKAGE_SPEC",
    "UNEXPOSED_DECL",
    "FUNCTION_DECL",
    "FUNCTION_TEMPLATE",
    "COMPOUND_STMT",
    "FOR_STMT",
    "IF_STMT",
    "DECL_STMT",
)


def _variables(cursor: Any) -> Iterator[Any]:
    """Every variable that is declared in a function, whatever it is in there."""
    if cursor.kind == cindex.CursorKind.VAR_DECL:
        yield cursor
    elif cursor.kind.name in STATEMENTS:
        for child in cursor.get_children():
            yield from _variables(child)


def _given(line: str, name: str) -> bool:
    """Whether the declaration gives a value: what is written whole afterwards needs no proof that it is."""
    return re.search(rf"\b{re.escape(name)}(?:\[\w+\])*(?: =|\()", line) is not None
