"""Words that no generated name may be: a design is read by tools of three hardware languages and of C++.

Verilog-2005 and SystemVerilog-2017 (IEEE 1800, annex B), VHDL-2008 (IEEE 1076, where case does not matter), C++17.
"""

from __future__ import annotations

import re

from hwq.errors import UsageError


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VERILOG = _words(
    """always and assign automatic begin buf bufif0 bufif1 case casex casez cell cmos config deassign default defparam design disable
    edge else end endcase endconfig endfunction endgenerate endmodule endprimitive endspecify endtable endtask event for force forever
    fork function generate genvar highz0 highz1 if ifnone incdir include initial inout input instance integer join large liblist library
    localparam macromodule medium module nand negedge nmos nor noshowcancelled not notif0 notif1 or output parameter pmos posedge
    primitive pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent rcmos real realtime reg release repeat rnmos rpmos rtran
    rtranif0 rtranif1 scalared showcancelled signed small specify specparam strong0 strong1 supply0 supply1 table task time tran tranif0
    tranif1 tri tri0 tri1 triand trior trireg unsigned use uwire vectored wait wand weak0 weak1 while wire wor xnor xor"""
)
SYSTEM_VERILOG = _words(
    """accept_on alias always_comb always_ff always_latch assert assume before bind bins binsof bit break byte chandle checker class
    clocking const constraint context continue cover covergroup coverpoint cross dist do endchecker endclass endclocking endgroup
    endinterface endpackage endprogram endproperty endsequence enum eventually expect export extends extern final first_match foreach
    forkjoin global iff ignore_bins illegal_bins implements implies import inside int interconnect interface intersect join_any join_none
    let local logic longint matches modport nettype new nexttime null package packed priority program property protected pure rand randc
    randcase randsequence ref reject_on restrict return s_always s_eventually s_nexttime s_until s_until_with sequence shortint shortreal
    soft solve static string strong struct super sync_accept_on sync_reject_on tagged this throughout timeprecision timeunit type typedef
    union unique unique0 until until_with untyped var virtual void wait_order weak wildcard with within"""
)
VHDL = _words(
    """abs access after alias all and architecture array assert assume assume_guarantee attribute begin block body buffer bus case
    component configuration constant context cover default disconnect downto else elsif end entity exit fairness file for force function
    generate generic group guarded if impure in inertial inout is label library linkage literal loop map mod nand new next nor not null of
    on open or others out package parameter port postponed procedure process property protected pure range record register reject release
    rem report restrict restrict_guarantee return rol ror select sequence severity shared signal sla sll sra srl strong subtype then to
    transport type unaffected units until use variable vmode vprop vunit wait when while with xnor xor"""
)
CPP = _words(
    """alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t class compl const const_cast constexpr
    continue decltype default delete do double dynamic_cast else enum explicit export extern false float for friend goto if inline int
    long main mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast
    return short signed sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef typeid
    typename union unsigned using virtual void volatile wchar_t while xor xor_eq"""
)
RESERVED = VERILOG | SYSTEM_VERILOG | VHDL | CPP


def is_reserved(name: str) -> bool:
    """Whether one of the languages has taken the name; VHDL and file systems do not tell its case apart."""
    return name.lower() in RESERVED


def require_name(name: str) -> str:
    """`name` itself, when it can be that of a module, a function and a file.

    Raises:
        UsageError: another character than letters, digits and single underscores, or a word of one of the languages.
    """
    if not re.fullmatch(r"[A-Za-z](?:_?[A-Za-z0-9])*", name):
        raise UsageError(f"{name!r} is no name of a module", hint="letters, digits and single underscores, a letter first")
    if is_reserved(name):
        raise UsageError(f"{name!r} is a word of Verilog, SystemVerilog, VHDL or C++", hint=f"take another, such as {name}_top")
    return name
