"""Paths that got past other services, by what they try. One corpus for every test.

``REFUSED`` are refused wherever a path is taken. ``WINDOWS`` are names that only Windows
cannot store: a server takes them, a client there does not write them.
"""

from __future__ import annotations

TRAVERSAL = (
    "..", ".", "../x", "../canary", "../../canary", "a/../b", "a/..", "a/./b", "./a",
    "a/../../canary", "a//b", "a/", "a/b/", "...", "a/....", "a/ /b", "a/.. /b", "a/. ./b", " ",
    "a/ ../b",
)  # fmt: skip
ABSOLUTE = (
    "/", "//", "/etc/passwd", "//server/share", "///canary", "file:///etc/passwd", "s3://bucket/key",
    "C:/canary", "c:canary", "C:\\canary", "Z:", "\\\\server\\share", "\\\\?\\C:\\canary",
    "\\\\.\\pipe\\x", "//?/C:/canary", "//./PhysicalDrive0", "\\canary",
)  # fmt: skip
BACKSLASHES = ("..\\x", "..\\canary", "a\\b", "a\\..\\..\\canary", "a/..\\..\\canary", "\\")
ENCODED = (
    "%2e%2e/canary", "%2E%2E%2Fx", "..%2fcanary", "a%2fb", "a%5Cb", "a%5cb", "a%00b", "a%0ab",
    "a%7f", "%252e%252e/canary", "%25252fx", "..%255c..%255ccanary",
    # UTF-8 that is longer than it need be, and IIS's own encoding.
    "%c0%ae%c0%ae/canary", "%C0%AF", "..%c1%9ccanary", "%e0%80%ae%e0%80%ae/x", "%f0%80%80%afx",
    "%25c0%25ae/x", "%u002e%u002e/canary", "a%u2215b",
)  # fmt: skip
CONTROLS = (
    "a\x00b", "\x00", "canary\x00.png", "a\nb", "a\r", "a\tb", "\x1b[31m", "a\x7fb", "a\x85b",
    "a\x9bb", "a\u2028b", "a\u2029b",
)  # fmt: skip
UNICODE = (
    # Compatibility forms: dots, slashes and drives for whoever folds them (NFKC, code pages).
    "\uff0e\uff0e/canary", "\uff0e\uff0e\uff0fcanary", "a\uff0f..\uff0fb", "\u2024\u2024/canary",
    "\u2025/canary", "\u2026", "a/\u2026/b", "\uff0fetc\uff0fpasswd", "..\uff3ccanary",
    "\uff23\uff1a/canary", "\uff05\uff12\uff45\uff05\uff12\uff45/canary", "a\ufe52\ufe52/..",
    "\ufe52\ufe52/canary", "a\ufe68b",
    # Dots with nothing to see beside them.
    ".\u200d./canary", "..\u200b/canary", "\u200b", "a/\u200d/b", "\ufeff", ".\u0301./canary",
    "\u00a0", "..\u3000/canary", "\u2060../canary",
    # Text that is shown in another order than it is stored.
    "invoice\u202egpj.exe", "\u202dabc", "a\u2066b\u2069", "\u2067x",
)  # fmt: skip
LONG = (
    "x" * 256, "é" * 128, "\U0001f9d1" * 64, "a/" + "y" * 300 + "/b", "/".join(["d" * 100] * 11),
    "/".join(["d"] * 1000), "/".join([".."] * 600), "x" * 100_000,
)  # fmt: skip

REFUSED = ("", *TRAVERSAL, *ABSOLUTE, *BACKSLASHES, *ENCODED, *CONTROLS, *UNICODE, *LONG)
# A message of protobuf cannot hold it at all.
SURROGATES = ("a\ud800b", "\udcff", "model\udc80.bin")

WINDOWS = (
    "CON", "con.txt", "NUL", "nul.tar.gz", "a/AUX/b", "PRN.", "COM1", "com¹.log", "LPT³", "CONIN$",
    "conout$.x", "xy:stream", "a/b:$DATA", "trailing.", "trailing ", "a./b", "a /b", "what?", "a*b",
    "a|b", "<x>", '"quoted"',
)  # fmt: skip

GOOD = (
    "model.pkl", "a/b/c.txt", ".hidden", ".a/..b/c..", "...x", "with blank/and (brackets) [x] {y}",
    "100%", "50%25done", "ünïcödé/模型/\U0001f9d1\u200d\U0001f52c.json", "metrics:val.json",
    "a" * 255, "/".join(["d" * 100] * 10), "~/x", "$HOME/`id`;rm -rf", "-rf", "*", "結果：１.png",
    "loading….txt",
    "مقاييس.json", "x/\u0644\u200f.txt", "½.csv", "a／b",
)  # fmt: skip
