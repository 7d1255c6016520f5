"""Which modules the built-in corpus documents, and under which name. Fixed lists: nothing is found by importing.

Refuses to know: how they are read. Neighbours: `source` (by ast), `child` (by inspect, gets the list as arguments).
"""

from __future__ import annotations

SKIPPED_FOLDERS = frozenset(
    (
        "__pycache__",
        "__phello__",
        "config",
        "curses",
        "distutils",
        "encodings",
        "ensurepip",
        "idle_test",
        "idlelib",
        "lib-dynload",
        "lib2to3",
        "msilib",
        "pydoc_data",
        "site-packages",
        "dist-packages",
        "test",
        "tests",
        "turtledemo",
        "_pyrepl",
    )
)
"""Test suites, bundled programs, and tables that nobody asks about."""

SKIPPED_MODULES = frozenset(
    ("antigravity", "this", "ntpath", "nturl2path", "sre_compile", "sre_constants", "sre_parse")
)

PUBLIC_NAMES = {"_collections_abc": "collections.abc", "posixpath": "os.path", "genericpath": "os.path"}
"""Source files whose public name is another one; two of one name make one module."""

INSPECTED = (
    "builtins",
    "sys",
    "math",
    "cmath",
    "itertools",
    "functools",
    "operator",
    "collections",
    "heapq",
    "bisect",
    "time",
    "datetime",
    "decimal",
    "random",
    "statistics",
    "array",
    "struct",
    "json",
    "csv",
    "re",
    "string",
    "io",
    "os",
    "select",
    "socket",
    "ssl",
    "signal",
    "errno",
    "fcntl",
    "mmap",
    "resource",
    "pwd",
    "grp",
    "syslog",
    "termios",
    "threading",
    "queue",
    "asyncio",
    "contextvars",
    "weakref",
    "gc",
    "types",
    "typing",
    "atexit",
    "faulthandler",
    "tracemalloc",
    "marshal",
    "pickle",
    "copyreg",
    "zlib",
    "bz2",
    "lzma",
    "binascii",
    "hashlib",
    "hmac",
    "sqlite3",
    "unicodedata",
    "codecs",
    "locale",
    "ast",
    "symtable",
    "warnings",
    "zoneinfo",
    "zipimport",
    "winreg",
    "winsound",
    "msvcrt",
)
"""Built-in and extension modules, and modules that show functions written in C under their own name."""
